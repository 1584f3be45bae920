//! What is noted beside the file when it is closed: what it holds.
//!
//! While the service runs, the log tells the file's newest rows, and no note is needed: one that
//! were kept up to date would cost every delivery something. A tidy close writes the log back and
//! removes it. From then on nothing but the last page of the table tells where the table ends, and
//! a file that is cut has lost just that.

use std::io::{ErrorKind, Result};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::aside;
use crate::inbox::group::Contents;

/// What a file held when it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::inbox) struct Note {
    /// Deliveries.
    pub(super) deliveries: u64,
    /// The number of the first, and of the last.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Note {
    /// Of a file that holds these.
    pub(in crate::inbox) fn of(contents: Option<Contents>) -> Self {
        let Some(Contents { first, last, deliveries, .. }) = contents else {
            return Self { deliveries: 0, first: 1, last: 0 };
        };
        let count = i64::try_from(first.count).unwrap_or(i64::MAX);
        Self { deliveries: deliveries as u64, first: first.seq.saturating_sub(count) + 1, last }
    }

    /// Puts it beside the file at `path`, which is closed.
    pub(in crate::inbox) fn write(self, path: &Path) -> Result<()> {
        aside::write_whole(&aside::note_of(path), serde_json::to_string(&self)?.as_bytes())
    }

    /// Takes it away: what is written to the file from now on it does not tell.
    pub(in crate::inbox) fn remove(path: &Path) -> Result<()> {
        let note = aside::note_of(path);
        match std::fs::remove_file(&note) {
            Ok(()) => aside::sync_folder(aside::folder_of(&note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads the one beside a damaged file. One that cannot be read, or does not fit itself, is
    /// none; nor is one beside a log, since somebody wrote to the file after it.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let note: Self = serde_json::from_slice(&std::fs::read(aside::note_of(path)).ok()?).ok()?;
        let room = u64::try_from(note.last.checked_sub(note.first)?.checked_add(1)?).ok()?;
        let alone = aside::log_of(path).symlink_metadata().is_err();
        (alone && note.deliveries <= room).then_some(note)
    }

    pub(super) fn covers(&self, first: i64, last: i64) -> bool {
        self.first <= first && last <= self.last
    }
}
