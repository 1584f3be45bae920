//! Files of the server's program: detects that they were replaced while the server runs, as an
//! upgrade of its package does. A backend that then loads a library gets one of another build.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval_at};

use super::binaries::Binaries;

/// Interval between two checks. The files have settled once two checks find the same.
const INTERVAL: Duration = Duration::from_secs(2);
/// Stem of the library that every server has.
const A_LIBRARY: &str = "plpgsql";
/// File extensions of libraries: Linux, macOS.
const LIBRARY_EXTENSIONS: [&str; 2] = ["so", "dylib"];

/// Identity of a file, which changes when it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

/// The server's program and its libraries, as found at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Files(BTreeMap<PathBuf, Identity>);

impl Files {
    /// Reads the present files. Missing files are left out.
    pub(super) fn observe(binaries: &Binaries) -> Self {
        let program = binaries.postgres();
        let mut found: BTreeMap<_, _> =
            identity(&program).map(|it| (program, it)).into_iter().collect();
        if let Some(folder) = library_folder(binaries) {
            let libraries = folder.read_dir().into_iter().flatten().flatten();
            let libraries = libraries.map(|entry| entry.path()).filter(|path| is_library(path));
            found.extend(libraries.filter_map(|path| Some((path.clone(), identity(&path)?))));
        }
        Self(found)
    }

    /// Waits until the files have changed and settled, and returns the new ones.
    pub(super) async fn changed(&self, binaries: &Binaries) -> Self {
        let mut checks = interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            checks.tick().await;
            let binaries = binaries.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || Self::observe(&binaries)).await
            else {
                // The runtime is shutting down.
                continue;
            };
            if now == *self {
                last = None;
            } else if last.as_ref() == Some(&now) {
                return now;
            } else {
                last = Some(now);
            }
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let found = path.metadata().ok()?;
    Some(Identity {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
    })
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|extension| LIBRARY_EXTENSIONS.iter().any(|one| extension == *one))
}

/// Finds the folder of the libraries, whose place beside the programs depends on the package.
fn library_folder(binaries: &Binaries) -> Option<PathBuf> {
    let prefix = binaries.folder().parent()?;
    let of_major = |folder: &str| format!("{folder}{}", binaries.major);
    [
        // Debian, the PostgreSQL project's packages for Fedora, builds from source.
        "lib".to_owned(),
        "lib/postgresql".to_owned(),
        // Fedora.
        "lib64/pgsql".to_owned(),
        "lib/pgsql".to_owned(),
        "lib64/postgresql".to_owned(),
        // Alpine, from /usr/libexec/postgresql17.
        of_major("../lib/postgresql"),
        of_major("lib/postgresql"),
    ]
    .into_iter()
    .map(|folder| prefix.join(folder))
    .find(|folder| {
        LIBRARY_EXTENSIONS
            .iter()
            .any(|extension| folder.join(A_LIBRARY).with_extension(extension).exists())
    })
}
