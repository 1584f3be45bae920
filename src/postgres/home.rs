//! Folders of the private cluster.
//!
//! ```text
//! <data folder>/verbatim.lock       lock of the process that serves
//! <data folder>/postgres/           ours
//!     lock                          lock of the process that runs the cluster
//!     postgres.log, postgres.log.1  the server's log
//!     upgrade.json, upgrade.log     request and report of an upgrade to another major version
//!     pg_hba.conf                   access rules for TCP, if it listens
//!     cluster/                      the cluster, owned by the server's account
//!     cluster.next/                 the new cluster that an upgrade fills
//!     cluster.old-15/               the old cluster that an upgrade has left
//!     socket/                       the server's socket, closed to every other account
//! ```
//!
//! Only clusters and the socket's folder belong to the server's account: root must not write
//! through a folder in which another account could place a link.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::account::Account;

/// Lock of the process that serves from a data folder, or drains its inbox.
pub(super) const LOCK: &str = "verbatim.lock";
/// Parent folder of the cluster if the server's account cannot enter the data folder.
pub(super) const ELSEWHERE: &str = "/var/lib/verbatim";
/// Longest path of a Unix socket that every system accepts: macOS allows 104 bytes.
const MAX_SOCKET_PATH: usize = 100;
/// The socket's name within its folder, for the port 5432.
const SOCKET: &str = ".s.PGSQL.5432";
/// Prefix of the names of sockets and of their locks.
const ANY_SOCKET: &str = ".s.PGSQL.";
/// Prefix of the names of clusters that upgrades have left.
const OLD_CLUSTER: &str = "cluster.old-";
/// Port of [`SOCKET`].
pub(super) const SOCKET_PORT: u16 = 5432;
/// No access for other accounts.
const PRIVATE: u32 = 0o700;
/// Other accounts may pass through the folder, but not list it.
const PASSAGE: u32 = 0o711;

/// The folder `postgres` of a data folder, with links resolved.
#[derive(Clone, Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// Opens the folder of `data_dir`, or creates it.
    ///
    /// The server's account cannot reach a data folder below a closed one, such as /root, and this
    /// does not change the mode of foreign folders. The cluster is then in a folder of `elsewhere`,
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

    /// Opens the folder of `data_dir`, which must exist.
    pub(super) fn existing(data_dir: &Path) -> anyhow::Result<Self> {
        let place = data_dir.join("postgres");
        let place = place
            .canonicalize()
            .with_context(|| format!("cannot enter the folder {}", place.display()))?;
        Ok(Self(place))
    }

    /// Replaces this empty folder by a link to a new folder in `elsewhere`.
    fn relocate(self, place: &Path, account: &Account, elsewhere: &Path) -> anyhow::Result<Self> {
        make_folder(elsewhere, PASSAGE)?;
        // Each cluster has a unique name, so an abandoned one is never used for a new cluster.
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

    /// Returns the folder of the cluster.
    pub(super) fn cluster(&self) -> PathBuf {
        self.0.join("cluster")
    }

    /// Returns a new temporary folder in which a cluster is created.
    pub(super) fn new_cluster(&self) -> PathBuf {
        self.0.join(format!("cluster.new-{}", uuid::Uuid::new_v4()))
    }

    /// Returns the folder of the cluster that an upgrade fills.
    pub(super) fn next_cluster(&self) -> PathBuf {
        self.0.join("cluster.next")
    }

    /// Returns the folder of the cluster that an upgrade from this major version has left.
    pub(super) fn old_cluster(&self, major: u32) -> PathBuf {
        self.0.join(format!("{OLD_CLUSTER}{major}"))
    }

    /// Returns the folders of all such clusters.
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

    /// Returns the file of the pending upgrade request.
    pub(super) fn upgrade_request(&self) -> PathBuf {
        self.0.join("upgrade.json")
    }

    /// Returns the file of the last upgrade's report.
    pub(super) fn upgrade_report(&self) -> PathBuf {
        self.0.join("upgrade.log")
    }

    /// Returns the folder.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the lock file of the process that runs the cluster.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Returns the file of the access rules for TCP. The server's account cannot write it.
    pub(super) fn access_rules(&self) -> PathBuf {
        self.0.join("pg_hba.conf")
    }

    /// Returns the server's log file.
    pub(super) fn log(&self) -> PathBuf {
        self.0.join("postgres.log")
    }

    /// Returns the socket's folder. If its path would be too long, it is a folder in /tmp whose
    /// name every process computes alike.
    pub(super) fn socket_folder(&self) -> PathBuf {
        let near = self.0.join("socket");
        if near.join(SOCKET).as_os_str().len() <= MAX_SOCKET_PATH {
            return near;
        }
        let hash = Sha256::digest(self.0.as_os_str().as_encoded_bytes());
        Path::new("/tmp").join(format!("verbatim-{}", hex::encode(&hash[..8])))
    }

    /// Creates the socket's folder and removes the sockets of earlier servers. A server's port also
    /// names its socket; for a port other than [`SOCKET_PORT`], a link provides the usual name.
    pub(super) fn prepare_socket(&self, account: &Account, port: u16) -> anyhow::Result<()> {
        let folder = self.socket_folder();
        make_folder(&folder, PRIVATE)?;
        let found = folder.symlink_metadata()?;
        let ours = [account.uid(), nix::unistd::Uid::effective().as_raw()].contains(&found.uid());
        // Another account could create the folder in /tmp first and would control the socket.
        ensure!(
            found.is_dir() && ours && found.mode() & 0o777 == PRIVATE,
            "{} must be a folder that belongs to the account {} and is closed to others (mode \
             0700): remove it, and it is created again",
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

/// Creates a folder with exactly this mode. Returns `true` if it is new.
fn make_folder(path: &Path, mode: u32) -> anyhow::Result<bool> {
    let is_new = match DirBuilder::new().mode(PRIVATE).create(path) {
        // The mode is set separately, since the umask applies to the one above.
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
    fn long_path_gets_a_short_stable_socket() {
        let home = Home(PathBuf::from("/data/postgres"));
        assert_eq!(home.socket_folder(), Path::new("/data/postgres/socket"));
        let home = Home(PathBuf::from(format!("/data/{}/postgres", "long".repeat(30))));
        assert!(home.socket_folder().starts_with("/tmp"));
        assert_eq!(home.socket_folder(), home.socket_folder());
    }

    #[test]
    fn folder_that_the_account_cannot_enter_becomes_a_link() {
        if Account::choose().unwrap() == Account::Ours {
            return; // The server runs as our account, which can enter these folders.
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
    fn open_socket_folder_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home(folder.path().to_owned());
        make_folder(&home.socket_folder(), 0o777).unwrap();
        let error = home.prepare_socket(&Account::Ours, SOCKET_PORT).unwrap_err().to_string();
        assert!(error.contains("0700"), "{error}");
    }
}
