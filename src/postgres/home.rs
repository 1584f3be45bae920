//! The folders of the private cluster, and where they are.
//!
//! ```text
//! <data folder>/verbatim.lock       held by the process that serves
//! <data folder>/postgres/           ours
//!     lock                          held by the process that runs the cluster
//!     postgres.log, postgres.log.1  what the server says
//!     upgrade.json, upgrade.log     an upgrade to another major version, and what it did
//!     pg_hba.conf                   who may connect over TCP, where it listens
//!     cluster/                      the server's, and its account's
//!     cluster.next/                 a new one that an upgrade fills
//!     cluster.old-15/               the one that an upgrade has left
//!     socket/                       the way in, closed to every other account
//! ```
//!
//! Only clusters and the socket's folder belong to the server's account: root must not write through a folder in which
//! somebody else could plant a link.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::account::Account;

/// Where the cluster goes when the server's account cannot enter the data folder.
pub(super) const ELSEWHERE: &str = "/var/lib/verbatim";
/// Longest path of a Unix socket that every system takes: macOS has room for 104 bytes.
const LONGEST_SOCKET_PATH: usize = 100;
/// The socket's name within its folder, for the port 5432.
const SOCKET: &str = ".s.PGSQL.5432";
/// How the names of all sockets begin, and those of their locks.
const ANY_SOCKET: &str = ".s.PGSQL.";
/// How the names of clusters begin that upgrades have left.
const OLD_CLUSTER: &str = "cluster.old-";
/// Port of [`SOCKET`].
pub(super) const SOCKET_PORT: u16 = 5432;
/// Nobody else may look.
const PRIVATE: u32 = 0o700;
/// Others may pass through to what is theirs, and see nothing.
const PASSAGE: u32 = 0o711;

/// The folder `postgres` of a data folder, without links.
#[derive(Clone, Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// The one of `data_dir`, made where it is missing.
    ///
    /// A data folder below a closed one, such as /root, is out of reach for the server's account.
    /// We do not open other people's folders: the cluster then lives in a folder of `elsewhere`,
    /// and `postgres` in the data folder is a link to it.
    pub(super) fn prepare(data_dir: &Path, elsewhere: &Path) -> anyhow::Result<Self> {
        let place = data_dir.join("postgres");
        if place.is_symlink() {
            return Self::existing(data_dir).with_context(|| {
                format!("{} is a link to the private cluster, and leads nowhere", place.display())
            });
        }
        let account = Account::choose()?;
        let mode = if account == Account::Ours { PRIVATE } else { PASSAGE };
        make_folder(&place, mode)?;
        let home = Self::existing(data_dir)?;
        if home.cluster().exists() {
            let account = Account::of_cluster(&home.cluster())?;
            ensure!(
                account.can_enter(&home.0)?,
                "the account {} cannot enter {}: move the data folder to where it can, or open \
                 each folder above it with `chmod o+x`",
                account.name(),
                home.0.display()
            );
            return Ok(home);
        }
        if account.can_enter(&home.0)? {
            return Ok(home);
        }
        home.relocate(&place, &account, elsewhere)
    }

    /// The one of `data_dir`, if it has been made.
    pub(super) fn existing(data_dir: &Path) -> anyhow::Result<Self> {
        let place = data_dir.join("postgres");
        let place = place
            .canonicalize()
            .with_context(|| format!("cannot enter the folder {}", place.display()))?;
        Ok(Self(place))
    }

    /// Puts a link to a folder elsewhere in the place of this still empty one.
    fn relocate(self, place: &Path, account: &Account, elsewhere: &Path) -> anyhow::Result<Self> {
        make_folder(elsewhere, PASSAGE)?;
        // A name of its own for each cluster: one that is left behind is never taken for a new one.
        let there = elsewhere.join(uuid::Uuid::new_v4().to_string());
        make_folder(&there, PASSAGE)?;
        ensure!(
            account.can_enter(&there)?,
            "the account {} can enter neither {} nor {}: choose a data folder that it can enter",
            account.name(),
            self.0.display(),
            there.display()
        );
        std::fs::remove_dir(&self.0)
            .and_then(|()| std::os::unix::fs::symlink(&there, place))
            .with_context(|| format!("cannot make {} a link", place.display()))?;
        tracing::warn!(
            link = %place.display(),
            cluster = %there.display(),
            "the account {} cannot enter the data folder, so the private PostgreSQL keeps its \
             files elsewhere; the data folder has a link to them",
            account.name(),
        );
        Ok(Self(there))
    }

    /// The server's files.
    pub(super) fn cluster(&self) -> PathBuf {
        self.0.join("cluster")
    }

    /// A folder in which a new cluster is made.
    pub(super) fn new_cluster(&self) -> PathBuf {
        self.0.join(format!("cluster.new-{}", uuid::Uuid::new_v4()))
    }

    /// The cluster that an upgrade fills.
    pub(super) fn next_cluster(&self) -> PathBuf {
        self.0.join("cluster.next")
    }

    /// The cluster that an upgrade from this major version has left.
    pub(super) fn old_cluster(&self, major: u32) -> PathBuf {
        self.0.join(format!("{OLD_CLUSTER}{major}"))
    }

    /// Every such cluster.
    pub(super) fn old_clusters(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in self.0.read_dir()? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(OLD_CLUSTER) {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// What an upgrade is asked for, while it is not done.
    pub(super) fn upgrade_request(&self) -> PathBuf {
        self.0.join("upgrade.json")
    }

    /// What the last upgrade did.
    pub(super) fn upgrade_report(&self) -> PathBuf {
        self.0.join("upgrade.log")
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The lock of the process that runs the cluster.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Rules of access over TCP. They are ours to write, and not the server's account's.
    pub(super) fn access_rules(&self) -> PathBuf {
        self.0.join("pg_hba.conf")
    }

    /// What the server says.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("postgres.log")
    }

    /// The socket's folder: here, or where the path would be too long, one in /tmp whose name
    /// every process reckons alike.
    pub(super) fn socket_folder(&self) -> PathBuf {
        let near = self.0.join("socket");
        if near.join(SOCKET).as_os_str().len() <= LONGEST_SOCKET_PATH {
            return near;
        }
        let hash = Sha256::digest(self.0.as_os_str().as_encoded_bytes());
        Path::new("/tmp").join(format!("verbatim-{}", hex::encode(&hash[..8])))
    }

    /// Makes the socket's folder, and clears it of what a server that is gone has left. A server's
    /// one port names its socket, too: of a server on another port, the socket gets a second name.
    pub(super) fn prepare_socket(&self, account: &Account, port: u16) -> anyhow::Result<()> {
        let folder = self.socket_folder();
        make_folder(&folder, PRIVATE)?;
        let found = folder.symlink_metadata()?;
        let ours = [account.uid(), nix::unistd::Uid::effective().as_raw()].contains(&found.uid());
        // Anybody may make a folder in /tmp before us, and would then own our way in.
        ensure!(
            found.is_dir() && ours && found.mode() & 0o777 == PRIVATE,
            "{} must be a folder that belongs to the account {} and is closed to others (mode \
             0700): remove it, and it is made anew",
            folder.display(),
            account.name()
        );
        account.give(&folder)?;
        for entry in std::fs::read_dir(&folder)?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(ANY_SOCKET) {
                continue;
            }
            match std::fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| {
                        format!("cannot remove the old {}", entry.path().display())
                    });
                }
                _ => {}
            }
        }
        if port != SOCKET_PORT {
            let link = folder.join(SOCKET);
            std::os::unix::fs::symlink(format!("{ANY_SOCKET}{port}"), &link)
                .with_context(|| format!("cannot make the link {}", link.display()))?;
        }
        Ok(())
    }
}

/// Makes a folder with exactly this mode, and says whether it is new.
fn make_folder(path: &Path, mode: u32) -> anyhow::Result<bool> {
    let is_new = match DirBuilder::new().mode(PRIVATE).create(path) {
        // The mode is set by itself, since the process' umask takes from the one given above.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(mode)).map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    };
    is_new.with_context(|| format!("cannot make the folder {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_gets_a_short_socket_that_is_always_the_same() {
        let home = Home(PathBuf::from("/data/postgres"));
        assert_eq!(home.socket_folder(), Path::new("/data/postgres/socket"));
        let home = Home(PathBuf::from(format!("/data/{}/postgres", "long".repeat(30))));
        assert!(home.socket_folder().starts_with("/tmp"));
        assert_eq!(home.socket_folder(), home.socket_folder());
    }

    #[test]
    fn a_folder_that_the_account_cannot_enter_becomes_a_link() {
        if Account::choose().unwrap() == Account::Ours {
            return; // The server's account is ours, and enters what we enter.
        }
        let closed = tempfile::tempdir().unwrap();
        std::fs::set_permissions(closed.path(), Permissions::from_mode(PRIVATE)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::set_permissions(elsewhere.path(), Permissions::from_mode(PASSAGE)).unwrap();
        let first = Home::prepare(closed.path(), elsewhere.path()).unwrap();
        assert!(first.path().starts_with(elsewhere.path()));
        assert!(closed.path().join("postgres").is_symlink());
        let second = Home::prepare(closed.path(), elsewhere.path()).unwrap();
        assert_eq!(second.path(), first.path());

        std::fs::remove_dir_all(first.path()).unwrap();
        let error = Home::prepare(closed.path(), elsewhere.path()).unwrap_err().to_string();
        assert!(error.contains("leads nowhere"), "{error}");
    }

    #[test]
    fn a_folder_in_the_way_of_the_socket_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home(folder.path().to_owned());
        make_folder(&home.socket_folder(), 0o777).unwrap();
        let error = home.prepare_socket(&Account::Ours, SOCKET_PORT).unwrap_err().to_string();
        assert!(error.contains("0700"), "{error}");
    }
}
