//! Account that the server runs as. `PostgreSQL` refuses to run as root, so under root it runs as
//! an unprivileged account.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::unistd::{Uid, User};

/// Candidates under root, in this order: an account for Verbatim, the account of the server's
/// package, and one that every system has. The last one is shared by other services.
const UNPRIVILEGED: [&str; 3] = ["verbatim", "postgres", "nobody"];

/// `PATH` for `initdb`. Our own may contain folders that the account cannot enter.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Account that the server runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// The account of this process.
    Ours,
    /// An unprivileged account, since this process runs as root.
    Other {
        /// Name for messages.
        name: String,
        uid: u32,
        gid: u32,
    },
}

impl Account {
    /// Returns the account for a new cluster.
    pub(super) fn choose() -> anyhow::Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self::Ours);
        }
        for name in UNPRIVILEGED {
            if let Some(user) = User::from_name(name)? {
                let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
                return Ok(Self::Other { name: user.name, uid, gid });
            }
        }
        bail!(
            "PostgreSQL refuses to run as root, and this machine has none of the accounts {}: add \
             one with `useradd --system verbatim`",
            UNPRIVILEGED.join(", ")
        )
    }

    /// Returns the account for an existing cluster: its owner.
    pub(super) fn of_cluster(cluster: &Path) -> anyhow::Result<Self> {
        let owner =
            cluster.metadata().with_context(|| format!("cannot read {}", cluster.display()))?;
        let (uid, gid) = (owner.uid(), owner.gid());
        let name = User::from_uid(Uid::from_raw(uid))?
            .map_or_else(|| format!("with the id {uid}"), |user| user.name);
        match (Uid::effective().as_raw(), uid) {
            (0, 0) => bail!(
                "the cluster {path} belongs to root, and PostgreSQL refuses to run as root: give \
                 it to an account with less, for example with `chown -R postgres: {path}`",
                path = cluster.display()
            ),
            (0, _) => Ok(Self::Other { name, uid, gid }),
            (us, owner) if us == owner => Ok(Self::Ours),
            _ => bail!(
                "the cluster {} belongs to the account {name}: run verbatim as that account or as \
                 root",
                cluster.display()
            ),
        }
    }

    /// Returns the user id.
    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Ours => Uid::effective().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Returns the name for messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Ours => "that verbatim runs as",
            Self::Other { name, .. } => name,
        }
    }

    /// Makes the account the owner of `path`.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        if let Self::Other { name, uid, gid } = self {
            chown(path, Some(*uid), Some(*gid))
                .with_context(|| format!("cannot give {} to the account {name}", path.display()))?;
        }
        Ok(())
    }

    /// Returns a command that runs as the account, in a separate process group: a Ctrl-C for this
    /// process must not end the program early.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            // Our environment contains secrets, and PG… variables for other databases.
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            // Our own may be a folder that the account cannot enter.
            .current_dir("/")
            .stdin(Stdio::null())
            .process_group(0);
        if let Some(libraries) = std::env::var_os("LD_LIBRARY_PATH") {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        if let Self::Other { uid, gid, .. } = self {
            // The standard library drops the supplementary groups along with root.
            command.gid(*gid).uid(*uid);
        }
        command
    }

    /// Checks that the account can enter `folder`. Only an attempt accounts for access lists,
    /// mounts and security modules.
    pub(super) fn can_enter(&self, folder: &Path) -> anyhow::Result<bool> {
        let mut shell = self.command(Path::new("/bin/sh"));
        match shell.args(["-c", ":"]).current_dir(folder).status() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot enter {}", folder.display())),
        }
    }
}
