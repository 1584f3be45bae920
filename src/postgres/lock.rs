//! Lock files: one process for each data folder, one for each cluster.
//!
//! The kernel releases a lock when its holder ends in any way, so no lock is stale.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// Longest wait for a command that runs the cluster.
pub(super) const COMMAND_LIMIT: Duration = Duration::from_mins(1);
/// Interval between two attempts.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of a lock file that are read.
const MAX_BYTES: u64 = 128;

/// Held lock, released on drop.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Purpose of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Serving until it is stopped.
    Serve,
    /// Running a short command.
    Command,
    /// Draining the inbox, which may take long.
    Drain,
    /// Upgrading the cluster, which takes long.
    Upgrade,
}

/// Holder of a lock that is not free.
#[derive(Debug)]
pub(super) struct Holder {
    /// Content of the lock file: process id and purpose.
    label: String,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Serve => "verbatim serve",
            Self::Command => "a verbatim command",
            Self::Drain => "verbatim drain",
            Self::Upgrade => "verbatim upgrade-postgres",
        }
    }

    /// Returns what to do if another process holds the lock.
    fn advice(self) -> &'static str {
        match self {
            Self::Serve => "stop it first, or give this one a folder of its own with --data-dir",
            Self::Drain => "a service drains its inbox itself. Stop it before you run this command",
            Self::Command | Self::Upgrade => "wait for it, or stop it first",
        }
    }
}

impl Holder {
    /// Returns `true` if the holder is a short command.
    pub(super) fn is_command(&self) -> bool {
        self.label.ends_with(Purpose::Command.label())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.label.split_once(' ') {
            Some((pid, purpose)) => write!(f, "process {pid} ({purpose})"),
            None => f.write_str("another process"),
        }
    }
}

impl Lock {
    /// Acquires the lock at `path`, or returns its holder.
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
                let mut label = String::new();
                // If the file cannot be read, the holder is unnamed.
                let _ = file.take(MAX_BYTES).read_to_string(&mut label);
                return Ok(Err(Holder { label: label.trim().to_owned() }));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)?;
        writeln!(file, "{} {}", std::process::id(), purpose.label())?;
        Ok(Ok(Self { _file: file }))
    }

    /// Acquires a lock that is held for long. Waits for a short command to finish; fails if any
    /// other process holds it.
    pub(super) async fn take(path: &Path, purpose: Purpose) -> anyhow::Result<Self> {
        let deadline = tokio::time::Instant::now() + COMMAND_LIMIT;
        let mut is_logged = false;
        loop {
            let holder = match Self::try_take(path, purpose)? {
                Ok(lock) => return Ok(lock),
                Err(holder) => holder,
            };
            if !holder.is_command() || tokio::time::Instant::now() >= deadline {
                let folder = path.parent().unwrap_or(path).display();
                bail!("{holder} already uses {folder}: {}", purpose.advice());
            }
            if !is_logged {
                tracing::info!(%holder, "waiting for a command that uses the private PostgreSQL");
                is_logged = true;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_names_its_holder_until_it_is_dropped() {
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
    async fn second_serving_process_fails_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = Lock::take(&path, Purpose::Serve).await.unwrap();
        for purpose in [Purpose::Serve, Purpose::Drain] {
            let error = Lock::take(&path, purpose).await.unwrap_err().to_string();
            assert!(error.contains(&std::process::id().to_string()), "{error}");
        }
    }
}
