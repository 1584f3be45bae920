//! Upgrade request: a file in the home of the private cluster. It survives every process, so an
//! interrupted upgrade continues with the next start.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::super::home::Home;

/// Mode of the file, which contains no secret.
const READABLE: u32 = 0o644;

/// Pending request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Request {
    /// Unique id.
    pub(super) id: String,
    /// Target major version.
    pub(super) to: u32,
    pub(super) phase: Phase,
}

/// Progress of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The request was written; the work has not begun.
    Asked,
    /// The new cluster is being filled. It is not synced to the disk, so it is valid only until the
    /// machine, identified by this boot id, restarts.
    Copying { boot: String },
    /// The new cluster is complete and on the disk; the folders are being renamed.
    Switching { from: u32 },
}

impl Request {
    /// Creates a request.
    pub(super) fn new(to: u32) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), to, phase: Phase::Asked }
    }

    /// Reads the pending request. The error for an unreadable file says what to do.
    pub(in super::super) fn read(home: &Home) -> anyhow::Result<Option<Self>> {
        let path = home.upgrade_request();
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        serde_json::from_slice(&text).map(Some).with_context(|| {
            format!(
                "{} is not what verbatim writes: a newer verbatim may have begun an upgrade of the \
                 private PostgreSQL. Run that one",
                path.display()
            )
        })
    }

    /// Writes the file atomically: after a power failure there is either the earlier one or this.
    pub(super) fn write(&self, home: &Home) -> anyhow::Result<()> {
        let path = home.upgrade_request();
        let aside = path.with_extension("new");
        // One left by a killed process may belong to another account.
        let _ = std::fs::remove_file(&aside);
        let write = || {
            // Links are not followed: root may write here, and another account could place them.
            let mut file = std::fs::File::create_new(&aside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            // Root may request it from a service of another account, which must read it.
            file.set_permissions(Permissions::from_mode(READABLE))?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            sync(home.path())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Removes the request.
    pub(super) fn remove(home: &Home) -> anyhow::Result<()> {
        let path = home.upgrade_request();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(sync(home.path())?),
        }
    }
}

/// Completes a switch: renames the old cluster's folder, and then the new one to its place. It is
/// idempotent, so it may be interrupted anywhere.
pub(in super::super) fn finish_switch(home: &Home) -> anyhow::Result<()> {
    let Some(Request { phase: Phase::Switching { from }, .. }) = Request::read(home)? else {
        return Ok(());
    };
    let (place, next) = (home.cluster(), home.next_cluster());
    if next.exists() {
        if place.exists() {
            rename(&place, &home.old_cluster(from))?;
            sync(home.path())?;
        }
        rename(&next, &place)?;
        sync(home.path())?;
    }
    Request::remove(home)
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::rename(from, to)
        .with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Makes changes of a folder's entries durable.
fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Returns the id of this boot, which changes with a restart. On a system without one, each process
/// has another id.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| format!("process {}", std::process::id()), |id| id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> (tempfile::TempDir, Home) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("postgres")).unwrap();
        let home = Home::existing(folder.path()).unwrap();
        (folder, home)
    }

    fn make(folder: &Path, version: &str) {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("PG_VERSION"), version).unwrap();
    }

    fn version(folder: &Path) -> String {
        std::fs::read_to_string(folder.join("PG_VERSION")).unwrap()
    }

    #[test]
    fn interrupted_switch_is_completed() {
        for steps_done in 0..=2 {
            let (_folder, home) = home();
            make(&home.cluster(), "15");
            make(&home.next_cluster(), "17");
            let phase = Phase::Switching { from: 15 };
            Request { phase, ..Request::new(17) }.write(&home).unwrap();
            if steps_done > 0 {
                std::fs::rename(home.cluster(), home.old_cluster(15)).unwrap();
            }
            if steps_done > 1 {
                std::fs::rename(home.next_cluster(), home.cluster()).unwrap();
            }
            finish_switch(&home).unwrap();
            assert_eq!(version(&home.cluster()), "17", "after {steps_done} steps");
            assert_eq!(version(&home.old_cluster(15)), "15");
            assert!(!home.next_cluster().exists());
            assert_eq!(Request::read(&home).unwrap(), None);
            finish_switch(&home).unwrap();
        }
    }

    #[test]
    fn request_is_read_as_written() {
        let (_folder, home) = home();
        assert_eq!(Request::read(&home).unwrap(), None);
        let request = Request { phase: Phase::Copying { boot: boot_id() }, ..Request::new(18) };
        request.write(&home).unwrap();
        assert_eq!(Request::read(&home).unwrap(), Some(request));
        std::fs::write(home.upgrade_request(), "{\"phase\":\"later\"}").unwrap();
        let error = Request::read(&home).unwrap_err().to_string();
        assert!(error.contains("a newer verbatim"), "{error}");
    }
}
