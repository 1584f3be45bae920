//! The data folder: its creation, and the place of the inbox in it. The first of inbox, database and
//! secrets that needs the folder creates it here, so that its mode is always the same.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

use anyhow::Context as _;

use super::DatabaseSettings;

/// Mode that gives others no access.
const PRIVATE: u32 = 0o700;
/// Mode for root: the account that runs the private database must pass through the folder, but
/// cannot list it.
const PASSAGE: u32 = 0o711;

impl DatabaseSettings {
    /// Returns the path of the inbox's file.
    #[must_use]
    pub fn inbox_file(&self) -> PathBuf {
        self.data_dir.join("inbox/inbox.sqlite")
    }

    /// Creates the data folder, closed to others. Leaves the mode of an existing folder unchanged.
    pub fn create_data_dir(&self) -> anyhow::Result<()> {
        let folder = &self.data_dir;
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create the folder {}", parent.display()))?;
        }
        let root = nix::unistd::Uid::effective().is_root();
        let created = match DirBuilder::new().mode(PRIVATE).create(folder) {
            // Set the mode separately: the process' umask restricts the one above.
            Ok(()) => {
                let mode = if root { PASSAGE } else { PRIVATE };
                std::fs::set_permissions(folder, Permissions::from_mode(mode))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        };
        created.with_context(|| format!("cannot create the data folder {}", folder.display()))
    }
}
