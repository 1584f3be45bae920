//! The data folder, made where it is missing. Inbox, database and secrets are all in it, so whoever
//! needs it first makes it, and always like this.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use anyhow::Context as _;

use super::DatabaseSettings;

/// Nobody else may look.
const PRIVATE: u32 = 0o700;
/// The account that runs the private database under root may pass through, and sees nothing.
const PASSAGE: u32 = 0o711;

impl DatabaseSettings {
    /// Makes the data folder, closed to others, unless it is there: then its mode is its keeper's.
    pub fn make_data_dir(&self) -> anyhow::Result<()> {
        let folder = &self.data_dir;
        if let Some(parent) = folder.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        let root = nix::unistd::Uid::effective().is_root();
        let made = match DirBuilder::new().mode(PRIVATE).create(folder) {
            // The mode is set by itself, since the process' umask takes from the one given above.
            Ok(()) => {
                let mode = if root { PASSAGE } else { PRIVATE };
                std::fs::set_permissions(folder, Permissions::from_mode(mode))
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        };
        made.with_context(|| format!("cannot make the data folder {}", folder.display()))
    }
}
