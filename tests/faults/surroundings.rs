//! What a service stands on and can be taken from it: room on a disk, and the time.

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
    /// Mounts it; where that is not allowed, the scenario is skipped.
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

    /// Takes all the room there is.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write as _;

        let path = self.filler();
        // What became free since the last time is taken, too.
        let mut file = std::fs::File::options().create(true).append(true).open(&path)?;
        let chunk = vec![0x5a; 64 << 10];
        // Ever smaller ones, to the last page.
        for size in [64 << 10, 4 << 10] {
            while file.write_all(&chunk[..size]).is_ok() {}
        }
        Ok(())
    }

    /// Gives it back.
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

/// Where Debian, Fedora and Arch put the library.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// The service's clock, by libfaketime: the suite's own, and Postgres', go on as ever.
#[derive(Debug)]
pub(crate) struct ServiceClock {
    library: &'static str,
    file: PathBuf,
}

impl ServiceClock {
    /// Keeps where it is in `folder`; without the library, the scenario is skipped.
    pub(crate) fn new(folder: &Path) -> anyhow::Result<Self> {
        let Some(library) = LIBRARIES.into_iter().find(|library| Path::new(library).exists())
        else {
            return Err(skip("libfaketime is not here (on Debian: apt-get install faketime)"));
        };
        let clock = Self { library, file: folder.join("clock") };
        clock.jump("+0s")?;
        Ok(clock)
    }

    /// What the service is started with.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.to_string_lossy();
        [
            ("LD_PRELOAD", self.library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            // What a timer reads does not jump, on a real machine either.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// From now on it is off by so much.
    pub(crate) fn jump(&self, by: &str) -> anyhow::Result<()> {
        // Moved into place, so that nobody reads half of it.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{by}\n"))?;
        Ok(std::fs::rename(&next, &self.file)?)
    }
}
