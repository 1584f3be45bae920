//! What became of the lines: counted, told line by line where it is bad, and kept to be mended.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar};

use super::deliver::Verdict;
use super::lines::Line;

/// Lines after which it is given up where not one could be read, so that a file of something else
/// does not fill the quarantine.
const HOPELESS: u64 = 100;

/// Counts so far.
#[derive(Debug)]
pub(super) struct Tally {
    /// Blank ones aside.
    pub(super) lines: u64,
    taken: u64,
    unreadable: u64,
    too_large: u64,
    unanswered: u64,
    rejected: Option<Rejected>,
    progress: ProgressBar,
}

impl Tally {
    /// Nothing so far.
    pub(super) fn new(rejected: Option<Rejected>, progress: ProgressBar) -> Self {
        let (lines, taken, unreadable, too_large, unanswered) = (0, 0, 0, 0, 0);
        Self { lines, taken, unreadable, too_large, unanswered, rejected, progress }
    }

    /// Counts a line, and tells what was wrong with it. It never quotes it. An error ends the run.
    pub(super) fn settle(
        &mut self,
        line: &Line,
        verdict: anyhow::Result<Verdict>,
    ) -> anyhow::Result<()> {
        let reason = match verdict.inspect_err(|_| self.unanswered += 1)? {
            Verdict::Taken => {
                self.taken += 1;
                self.progress.set_message(format!("{} taken", HumanCount(self.taken)));
                return Ok(());
            }
            Verdict::Unanswered => {
                self.unanswered += 1;
                return Ok(());
            }
            Verdict::TooLarge(reason) => {
                self.too_large += 1;
                reason
            }
            Verdict::Unreadable(reason) => {
                self.unreadable += 1;
                if let (Some(rejected), Some(bytes)) = (&mut self.rejected, &line.bytes) {
                    rejected.push(bytes)?;
                }
                reason
            }
        };
        super::say(&self.progress, &format!("{}:{}: {reason}", line.file, line.number));
        anyhow::ensure!(
            self.taken > 0 || self.unreadable < HOPELESS,
            "none of the first {HOPELESS} lines is a delivery: is this the right file? What \
             `verbatim export` writes is not one"
        );
        Ok(())
    }

    /// Ends the file of rejected lines. True where every line was taken.
    pub(super) fn close(self) -> anyhow::Result<bool> {
        if let Some(rejected) = self.rejected {
            rejected.close(&self.progress)?;
        }
        Ok(self.taken == self.lines)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row =
            |name: &str, count: u64| writeln!(f, "{name:<24}{:>12}", HumanCount(count).to_string());
        row("lines read", self.lines)?;
        row("  taken", self.taken)?;
        row("  unreadable", self.unreadable)?;
        row("  too large", self.too_large)?;
        if self.unanswered > 0 {
            row("  not answered", self.unanswered)?;
        }
        Ok(())
    }
}

/// The file that gets what the service cannot read.
#[derive(Debug)]
pub(super) struct Rejected {
    path: PathBuf,
    file: File,
    lines: u64,
}

impl Rejected {
    /// Makes the file. One that is there stays as it is: it may be among those that are read.
    pub(super) fn open(path: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create_new(&path).with_context(|| {
            format!("cannot make {} (--rejected takes a new file)", path.display())
        })?;
        Ok(Some(Self { path, file, lines: 0 }))
    }

    /// Adds a line as it was.
    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.lines += 1;
        let written = self.file.write_all(&[bytes, b"\n"].concat());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Says what is in the file; removes it where that is nothing.
    fn close(self, progress: &ProgressBar) -> anyhow::Result<()> {
        let path = self.path.display();
        if self.lines == 0 {
            return std::fs::remove_file(&self.path)
                .with_context(|| format!("cannot remove {path}, which is empty"));
        }
        let told = format!("what could not be read is in {path}: mend it, and import that file");
        super::say(progress, &told);
        Ok(())
    }
}
