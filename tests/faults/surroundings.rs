//! Surroundings of a service that faults change: a small disk, and the clock.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;

use super::world::skip;

/// A small file system in memory.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    pub(crate) folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it. Skips the scenario if that is not allowed.
    pub(crate) fn mount(folder: &Path, mib: u64) -> anyhow::Result<Self> {
        if !Uid::effective().is_root() {
            return Err(skip("only root can mount a small disk"));
        }
        std::fs::create_dir_all(folder)?;
        let options = format!("size={mib}m,mode=0711");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self { folder: folder.to_owned() }),
            Ok(output) => Err(skip(format!(
                "a small disk cannot be mounted here: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(skip(format!("a small disk cannot be mounted here: {error}"))),
        }
    }

    /// Fills the disk.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write as _;

        let path = self.filler();
        // Fills the space that was freed since the last call, too.
        let mut file = std::fs::File::options().create(true).append(true).open(&path)?;
        let chunk = vec![0x5a; 64 << 10];
        // With ever smaller writes, to the last page.
        for size in [64 << 10, 4 << 10] {
            while file.write_all(&chunk[..size]).is_ok() {}
        }
        Ok(())
    }

    /// Frees the space again.
    pub(crate) fn empty(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a process that is about to end may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// Paths of the library on Debian, Fedora and Arch.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The service's clock, set by libfaketime. The clocks of the suite and of Postgres stay right.
#[derive(Debug)]
pub(crate) struct ServiceClock {
    library: &'static str,
    file: PathBuf,
}

impl ServiceClock {
    /// Keeps its setting in `folder`. Skips the scenario if the library is not installed.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|library| Path::new(library).exists())
        else {
            return Err(skip("libfaketime is not installed (on Debian: apt-get install faketime)"));
        };
        let clock = Self { library, file: folder.join("clock") };
        clock.jump("+0s")?;
        Ok(clock)
    }

    /// Returns the environment of the service.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.to_string_lossy();
        [
            ("LD_PRELOAD", self.library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            // Timers do not jump on a real machine either.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Sets the clock off by `by` from now on.
    pub(crate) fn jump(&self, by: &str) -> anyhow::Result<()> {
        // Renamed into place, so that no reader sees half of it.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{by}\n"))?;
        Ok(std::fs::rename(&next, &self.file)?)
    }
}
