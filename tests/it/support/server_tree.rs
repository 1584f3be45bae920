//! A private copy of a PostgreSQL server's files, which a test may replace.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::skip;

/// A copy in the test's folder.
pub(crate) struct ServerTree {
    bin: PathBuf,
    libraries: PathBuf,
}

impl ServerTree {
    /// Copies the server of the tests.
    pub(crate) fn of_tests(folder: &Path) -> Option<Self> {
        Self::copy(&script("postgres-bindir", &[])?, folder)
    }

    /// Copies a major version that this machine has only from npm, so that nothing else here can
    /// run a cluster of it.
    pub(crate) fn of_major_that_is_nowhere_else(major: &str, folder: &Path) -> Option<Self> {
        if Command::new("scripts/postgres-bindir").arg(major).output().ok()?.status.success() {
            skip(&format!("PostgreSQL {major} is installed here"));
            return None;
        }
        Self::copy(&script("postgres-version", &[major])?, folder)
    }

    fn copy(from: &Path, folder: &Path) -> Option<Self> {
        // As root, the server runs as another account, which must be able to enter the folder.
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        let prefix = from.parent().unwrap();
        if prefix.join("share/postgresql").exists() {
            let root = folder.join("server");
            copy_folder(prefix, &root);
            return Some(Self { bin: root.join("bin"), libraries: root.join("lib/postgresql") });
        }
        // Debian's layout: libraries beside the programs, and shared files below /usr/share.
        let version = prefix.file_name()?;
        let shared = Path::new("/usr/share/postgresql").join(version);
        if !shared.exists() {
            skip(&format!("the files of the server in {} cannot be copied", from.display()));
            return None;
        }
        let root = folder.join("usr");
        let copy = root.join("lib/postgresql").join(version);
        std::fs::create_dir_all(copy.parent()?).unwrap();
        copy_folder(prefix, &copy);
        std::fs::create_dir_all(root.join("share/postgresql")).unwrap();
        std::os::unix::fs::symlink(&shared, root.join("share/postgresql").join(version)).unwrap();
        Some(Self { bin: copy.join("bin"), libraries: copy.join("lib") })
    }

    /// Returns `PATH` with the copy's programs first.
    pub(crate) fn path(&self) -> String {
        format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap_or_default())
    }

    /// Returns a `PATH` with which a service finds only the copy.
    pub(crate) fn path_alone(&self) -> String {
        format!("{}:/usr/bin:/bin", self.bin.display())
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }

    /// Replaces a library by a file with the same content, as a package upgrade does.
    pub(crate) fn replace_library(&self) {
        let library = self.libraries.join("plpgsql.so");
        let aside = library.with_extension("new");
        std::fs::copy(&library, &aside).unwrap();
        std::fs::rename(&aside, &library).unwrap();
    }

    /// Replaces the server by a script, and returns a function that restores it.
    pub(crate) fn replace_server(&self, script: &str) -> impl FnOnce() + use<> {
        let (server, aside) = (self.postgres(), self.bin.join("postgres.before"));
        std::fs::rename(&server, &aside).unwrap();
        let next = self.bin.join("postgres.new");
        std::fs::write(&next, script).unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(next, &server).unwrap();
        move || std::fs::rename(aside, server).unwrap()
    }
}

/// Returns the folder of a major version's programs.
pub(crate) fn programs_of(major: &str) -> Option<PathBuf> {
    script("postgres-version", &[major])
}

fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "-T"]).args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Returns the output of a script. If it fails, the test is skipped.
fn script(name: &str, arguments: &[&str]) -> Option<PathBuf> {
    let run = Command::new(format!("scripts/{name}")).args(arguments).output().unwrap();
    if run.status.success() {
        return Some(String::from_utf8(run.stdout).unwrap().trim().into());
    }
    skip(String::from_utf8_lossy(&run.stderr).trim());
    None
}
