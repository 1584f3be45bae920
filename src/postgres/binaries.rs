//! Finds the machine's `PostgreSQL` server binaries.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::account::Account;

/// Oldest supported major version, with which the SQL is tested.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// Folders in which packages install the binaries: the parent of the version folders, the prefix of
/// their names, and the path below.
const PACKAGED: [(&str, &str, &str); 8] = [
    // Debian, Ubuntu.
    ("/usr/lib/postgresql", "", "bin"),
    // The PostgreSQL project's packages for Fedora and Red Hat.
    ("/usr", "pgsql-", "bin"),
    // Alpine.
    ("/usr/libexec", "postgresql", ""),
    // Homebrew: Apple silicon, Intel, Linux.
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    // FreeBSD, and builds from source.
    ("/usr/local", "pgsql", "bin"),
];

/// Commands that install the server.
pub(super) const HOW_TO_INSTALL: &str = "Debian and Ubuntu: `apt-get install postgresql`; Fedora: \
     `dnf install postgresql-server`; macOS: `brew install postgresql@17`";

/// Installed server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    /// Folder of `postgres` and `initdb`.
    folder: PathBuf,
    /// For example 17.
    pub(super) major: u32,
    /// For example 5, of 17.5.
    minor: u32,
    /// Index of the folder in `PATH`, if it is there.
    index_in_path: Option<usize>,
}

impl fmt::Display for Binaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} in {}", self.version(), self.folder.display())
    }
}

impl Binaries {
    /// Finds the newest version for a new cluster, or the major version `made_by` of an existing
    /// one. Of one major version, folders in `PATH` are preferred, in their order.
    pub(super) fn find(account: &Account, made_by: Option<u32>) -> anyhow::Result<Self> {
        let mut found = installed(account);
        found.sort_by_key(|one| (one.major, one.index_in_path.map(Reverse), one.minor));
        let known = found.iter().map(|one| one.major.to_string()).collect::<BTreeSet<_>>();
        let known = known.into_iter().collect::<Vec<_>>().join(" and ");
        let Some(major) = made_by else {
            let newest = found.pop().filter(|newest| newest.major >= OLDEST_MAJOR);
            return newest.with_context(|| {
                let instead = if known.is_empty() {
                    String::new()
                } else {
                    format!(" (it has {known}, which is too old)")
                };
                format!(
                    "this machine has no PostgreSQL server of version {OLDEST_MAJOR} or \
                     newer{instead}, and none was named with DATABASE_URL. Install one \
                     ({HOW_TO_INSTALL}), or set DATABASE_URL to a PostgreSQL of yours"
                )
            });
        };
        found.into_iter().rfind(|one| one.major == major).with_context(|| {
            let known = if known.is_empty() { "none".to_owned() } else { known };
            format!(
                "the private database was made by PostgreSQL {major}, and this machine has \
                 {known}. Nothing was changed. Install PostgreSQL {major} beside it (Debian and \
                 Ubuntu: `apt-get install postgresql-{major}`; macOS: `brew install \
                 postgresql@{major}`). `verbatim upgrade-postgres` then moves the database to the newer \
                 one; so does pg_upgrade: https://www.postgresql.org/docs/current/pgupgrade.html"
            )
        })
    }

    /// Finds the target version of an upgrade.
    pub(super) fn find_major(account: &Account, major: u32) -> anyhow::Result<Self> {
        let mut found = installed(account);
        found.sort_by_key(|one| (one.index_in_path.map(Reverse), one.minor));
        let known = found.iter().map(|one| one.major).collect::<BTreeSet<_>>();
        let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        found.into_iter().rfind(|one| one.major == major).with_context(|| {
            format!(
                "this machine has no PostgreSQL {major} that the server's account can run, but \
                 {known}. Install it beside that (Debian and Ubuntu: `apt-get install \
                 postgresql-{major}`; macOS: `brew install postgresql@{major}`)"
            )
        })
    }

    /// Returns the folder of the programs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the version, for example `17.5`.
    pub(super) fn version(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Returns the path of the server.
    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    /// Returns the path of `initdb`, which creates clusters.
    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    /// Returns the server in `folder`, if the account can run it.
    fn probe(folder: &Path, index_in_path: Option<usize>, account: &Account) -> Option<Self> {
        // Links are resolved, so that one installation is one candidate.
        let postgres = folder.join("postgres").canonicalize().ok()?;
        let folder = postgres.parent()?.to_owned();
        if !folder.join("initdb").exists() {
            return None;
        }
        let output = account.command(&postgres).arg("--version").output().ok()?;
        let (major, minor) = parse_version(&String::from_utf8(output.stdout).ok()?)?;
        Some(Self { folder, major, minor, index_in_path })
    }
}

/// Returns all servers on this machine that the account can run.
fn installed(account: &Account) -> Vec<Binaries> {
    let mut folders = BTreeSet::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.insert(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, prefix, rest) in PACKAGED {
        let Ok(entries) = std::fs::read_dir(parent) else {
            continue;
        };
        let versions = entries.flatten().filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
        });
        folders.extend(versions.map(|entry| entry.path().join(rest)));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::split_paths(&path).enumerate();
    let path = path.map(|(place, folder)| (folder, Some(place)));
    let mut found: Vec<Binaries> = Vec::new();
    for (folder, place) in path.chain(folders.into_iter().map(|folder| (folder, None))) {
        let one = Binaries::probe(&folder, place, account);
        found.extend(one.filter(|one| !found.iter().any(|known| known.folder == one.folder)));
    }
    found
}

/// Parses `postgres (PostgreSQL) 17.5 (Debian 17.5-1)`; `18beta1` is 18.0.
fn parse_version(line: &str) -> Option<(u32, u32)> {
    let version = line.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
    let digits = |text: &str| {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..end].parse::<u32>().ok()
    };
    let minor = version.split_once('.').and_then(|(_, minor)| digits(minor)).unwrap_or(0);
    Some((digits(version)?, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_output_of_servers_is_parsed() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0)\n"), Some((15, 18)));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(parse_version("postgres (PostgreSQL) 9.6.24\n"), Some((9, 6)));
        assert_eq!(parse_version("bash: postgres: not found"), None);
    }

    #[test]
    fn error_for_a_missing_major_version_says_what_to_do() {
        let account = Account::choose().unwrap();
        let error = Binaries::find(&account, Some(7)).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 7"), "{error}");
        assert!(error.contains("postgresql-7"), "{error}");
        assert!(error.contains("pg_upgrade"), "{error}");
    }
}
