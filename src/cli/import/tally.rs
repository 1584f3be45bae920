//! Outcomes of the lines: counts, a report for each bad line, and the file of rejected lines.

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use indicatif::{HumanCount, ProgressBar};

use super::deliver::Outcome;
use super::lines::Line;
use super::progress;

/// Unreadable lines after which the run ends if none was readable, so that a wrong file does not
/// fill the quarantine.
const UNREADABLE_MAX: u64 = 100;

/// Counts by outcome.
#[derive(Debug)]
pub(super) struct Tally {
    /// Lines that are not blank.
    pub(super) lines: u64,
    accepted: u64,
    unreadable: u64,
    too_large: u64,
    unanswered: u64,
    rejected: Option<Rejected>,
    progress: ProgressBar,
}

impl Tally {
    /// Returns zero counts.
    pub(super) fn new(rejected: Option<Rejected>, progress: ProgressBar) -> Self {
        let (lines, accepted, unreadable, too_large, unanswered) = (0, 0, 0, 0, 0);
        Self { lines, accepted, unreadable, too_large, unanswered, rejected, progress }
    }

    /// Counts a line, and reports a fault without quoting the line. An error ends the run.
    pub(super) fn add(
        &mut self,
        line: &Line,
        outcome: anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        let reason = match outcome.inspect_err(|_| self.unanswered += 1)? {
            Outcome::Accepted => {
                self.accepted += 1;
                self.progress.set_message(format!("{} accepted", HumanCount(self.accepted)));
                return Ok(());
            }
            Outcome::Unanswered => {
                self.unanswered += 1;
                return Ok(());
            }
            Outcome::TooLarge(reason) => {
                self.too_large += 1;
                reason
            }
            Outcome::Unreadable(reason) => {
                self.unreadable += 1;
                if let (Some(rejected), Some(bytes)) = (&mut self.rejected, &line.bytes) {
                    rejected.push(bytes)?;
                }
                reason
            }
        };
        progress::report(&self.progress, &format!("{}:{}: {reason}", line.file, line.number));
        anyhow::ensure!(
            self.accepted > 0 || self.unreadable < UNREADABLE_MAX,
            "none of the first {UNREADABLE_MAX} lines is a delivery: is this the right file? The \
             output of `verbatim export` cannot be imported"
        );
        Ok(())
    }

    /// Closes the file of rejected lines. Returns true if every line was accepted.
    pub(super) fn close(self) -> anyhow::Result<bool> {
        if let Some(rejected) = self.rejected {
            rejected.close(&self.progress)?;
        }
        Ok(self.accepted == self.lines)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row =
            |name: &str, count: u64| writeln!(f, "{name:<24}{:>12}", HumanCount(count).to_string());
        row("lines read", self.lines)?;
        row("  accepted", self.accepted)?;
        row("  unreadable", self.unreadable)?;
        row("  too large", self.too_large)?;
        if self.unanswered > 0 {
            row("  not answered", self.unanswered)?;
        }
        Ok(())
    }
}

/// File for the lines that the service cannot read.
#[derive(Debug)]
pub(super) struct Rejected {
    path: PathBuf,
    file: File,
    lines: u64,
}

impl Rejected {
    /// Creates the file. Fails if it exists: it may be one of the imported files.
    pub(super) fn open(path: Option<PathBuf>) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        let file = File::create_new(&path).with_context(|| {
            format!("cannot create {} (--rejected needs a new file)", path.display())
        })?;
        Ok(Some(Self { path, file, lines: 0 }))
    }

    /// Appends a line, unchanged.
    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.lines += 1;
        let written = self.file.write_all(&[bytes, b"\n"].concat());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Prints the file's name, or removes the file if it is empty.
    fn close(self, progress: &ProgressBar) -> anyhow::Result<()> {
        let path = self.path.display();
        if self.lines == 0 {
            return std::fs::remove_file(&self.path)
                .with_context(|| format!("cannot remove the empty file {path}"));
        }
        let hint = format!("unreadable lines are in {path}: correct them, and import that file");
        progress::report(progress, &hint);
        Ok(())
    }
}
