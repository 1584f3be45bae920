//! What was asked for, as a file in the private cluster's home: it outlives every process, so that an
//! upgrade that was cut short goes on with the next start.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::super::home::Home;

/// It holds no secret.
const READABLE: u32 = 0o644;

/// A request that has not been done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Request {
    /// One of its own for each time that somebody asks.
    pub(super) id: String,
    /// The major version to go to.
    pub(super) to: u32,
    pub(super) phase: Phase,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// Nothing was changed.
    Asked,
    /// The new cluster is being filled. It is not synced to the disk meanwhile, so it is worth
    /// something only as long as the machine, known by this id, stays up.
    Copying { boot: String },
    /// The new cluster is whole and on the disk; the folders are being renamed.
    Switching { from: u32 },
}

impl Request {
    /// A new one.
    pub(super) fn new(to: u32) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), to, phase: Phase::Asked }
    }

    /// The one that is there. A file that cannot be read is an error that says what to do.
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

    /// Writes it so that a power cut leaves either the earlier one or this.
    pub(super) fn write(&self, home: &Home) -> anyhow::Result<()> {
        let path = home.upgrade_request();
        let aside = path.with_extension("new");
        // One that a kill has left may belong to another account.
        let _ = std::fs::remove_file(&aside);
        let write = || {
            // Root may write here, where another account can plant links: none is followed.
            let mut file = std::fs::File::create_new(&aside)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            // Root may ask a service that runs as another account, which must read it.
            file.set_permissions(Permissions::from_mode(READABLE))?;
            file.sync_all()?;
            std::fs::rename(&aside, &path)?;
            sync(home.path())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// Forgets it.
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

/// Does what is left of a switch: the old cluster's folder gets another name, and the new one its
/// place. Doing it again changes nothing, so it may be cut short anywhere.
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

/// Makes what was done to a folder's entries outlive a power cut.
fn sync(folder: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Id of this run of the machine; another one after a power cut. Where the system has none, each
/// process counts as one.
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
    fn a_switch_that_is_cut_short_anywhere_is_finished() {
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
    fn a_request_is_read_as_it_was_written() {
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
