//! A private copy of a server's program files, which are replaced as a package manager does.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::world::skip;

/// A private copy of the files of one version.
#[derive(Debug)]
pub(crate) struct ServerFiles {
    root: PathBuf,
}

impl ServerFiles {
    /// Copies `version` below `folder`. Skips the scenario if that version is not available.
    pub(crate) fn copy(folder: &Path, version: &str) -> anyhow::Result<Self> {
        let root = folder.join("server");
        let copied = Command::new("cp").args(["-a", "-T"]).args([&of(version)?, &root]).status()?;
        ensure!(copied.success(), "the server's files could not be copied");
        Ok(Self { root })
    }

    /// Returns a `PATH` with these programs first, then those of [`Self::install_beside`].
    pub(crate) fn path(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let (here, beside) = (self.root.join("bin"), self.beside());
        format!("{}:{}:{path}", here.display(), beside.display())
    }

    /// Installs another version beside this one.
    pub(crate) fn install_beside(&self, version: &str) -> anyhow::Result<()> {
        Ok(std::os::unix::fs::symlink(of(version)?.join("bin"), self.beside())?)
    }

    fn beside(&self) -> PathBuf {
        self.root.with_extension("beside")
    }

    /// Replaces each file by that of another version: written beside it, and renamed.
    pub(crate) fn replace_by(&self, version: &str) -> anyhow::Result<()> {
        let from = of(version)?;
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            std::fs::create_dir_all(self.root.join(&folder))?;
            for entry in from.join(&folder).read_dir()? {
                let entry = entry?;
                let path = folder.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if entry.file_type()?.is_file() {
                    replace(&entry.path(), &self.root.join(path))?;
                }
            }
        }
        Ok(())
    }

    /// Replaces one library by a file with the same content.
    pub(crate) fn replace_library(&self) -> anyhow::Result<()> {
        let library = self.root.join("lib/postgresql/plpgsql.so");
        replace(&library, &library)
    }

    /// Replaces the server by a program that reports another major version, which cannot run the
    /// cluster.
    pub(crate) fn replace_server_by_newer(&self) -> anyhow::Result<()> {
        let script = self.root.join("newer");
        std::fs::write(&script, "#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n")?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        Ok(std::fs::rename(script, self.root.join("bin/postgres"))?)
    }
}

fn replace(from: &Path, to: &Path) -> anyhow::Result<()> {
    let mut name = to.file_name().context("a file")?.to_owned();
    name.push(".new");
    let aside = to.with_file_name(name);
    std::fs::copy(from, &aside)?;
    Ok(std::fs::rename(aside, to)?)
}

/// Returns the folder of a version's files. Downloads them from npm if they are not in the cache.
fn of(version: &str) -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres-version");
    let found = Command::new(script).arg(version).output().context("scripts/postgres-version")?;
    if !found.status.success() {
        return Err(skip(String::from_utf8_lossy(&found.stderr).trim()));
    }
    let bin = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    Ok(bin.parent().context("a folder of programs")?.to_owned())
}
