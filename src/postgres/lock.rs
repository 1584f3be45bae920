//! Locks on folders: one process a data folder, one process a cluster.
//!
//! The kernel gives a lock back when its holder ends, however it ends, so a lock is never stale.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// How long we wait for a command that has started the cluster for itself.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_mins(1);
/// How often we look whether it is done.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Longest note that is read from a lock's file.
const LONGEST_NOTE: u64 = 128;

/// A held lock; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// What the holder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It serves, until it is told to stop.
    Serve,
    /// It runs a command, and will be done soon.
    Command,
    /// It upgrades the cluster, which takes a while.
    Upgrade,
}

/// Who holds a lock that we did not get.
#[derive(Debug)]
pub(super) struct Holder {
    /// As it noted it: its process id and its purpose.
    note: String,
}

impl Purpose {
    fn note(self) -> &'static str {
        match self {
            Self::Serve => "verbatim serve",
            Self::Command => "a verbatim command",
            Self::Upgrade => "verbatim upgrade-postgres",
        }
    }
}

impl Holder {
    /// It will be done soon.
    pub(super) fn is_command(&self) -> bool {
        self.note.ends_with(Purpose::Command.note())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.note.split_once(' ') {
            Some((pid, purpose)) => write!(f, "process {pid} ({purpose})"),
            None => f.write_str("another process"),
        }
    }
}

impl Lock {
    /// Takes the lock at `path`, or tells who has it.
    pub(super) fn try_take(path: &Path, purpose: Purpose) -> anyhow::Result<Result<Self, Holder>> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot open the lock {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut note = String::new();
                // Without a note the holder goes unnamed; that is no reason to fail differently.
                let _ = file.take(LONGEST_NOTE).read_to_string(&mut note);
                return Ok(Err(Holder { note: note.trim().to_owned() }));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        writeln!(file, "{} {}", std::process::id(), purpose.note())?;
        Ok(Ok(Self { _file: file }))
    }

    /// Takes the lock that a serving process holds for its life. Waits for a command to finish;
    /// another serving process is an error that names it.
    pub(super) async fn take_to_serve(path: &Path) -> anyhow::Result<Self> {
        let deadline = tokio::time::Instant::now() + COMMAND_LIMIT;
        let mut told = false;
        loop {
            let holder = match Self::try_take(path, Purpose::Serve)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            if !holder.is_command() || tokio::time::Instant::now() >= deadline {
                let folder = path.parent().unwrap_or(path).display();
                bail!(
                    "{holder} already uses {folder}: stop it first, or give this one a folder of \
                     its own with --data-dir"
                );
            }
            if !told {
                tracing::info!(%holder, "waiting for a command that uses the private PostgreSQL");
                told = true;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_names_its_holder_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_take(&path, Purpose::Serve).unwrap().unwrap();
        let holder = Lock::try_take(&path, Purpose::Command).unwrap().unwrap_err();
        assert_eq!(holder.to_string(), format!("process {} (verbatim serve)", std::process::id()));
        drop(held);
        let held = Lock::try_take(&path, Purpose::Command).unwrap().unwrap();
        let holder = Lock::try_take(&path, Purpose::Serve).unwrap().unwrap_err();
        assert!(holder.is_command());
        drop(held);
    }

    #[tokio::test]
    async fn serving_does_not_wait_for_another_that_serves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = Lock::take_to_serve(&path).await.unwrap();
        let error = Lock::take_to_serve(&path).await.unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }
}
