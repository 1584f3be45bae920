//! Note of a file's contents, written beside it when it is closed.
//!
//! While the service runs, the log has the newest rows. A note is not needed then, and updating it
//! would slow down every delivery. A clean close writes the log back and removes it. Then only the
//! last page of the table shows where the table ends, and a file that is cut has lost that page.

use std::io::{ErrorKind, Result};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::set_aside;
use crate::inbox::group::Contents;

/// Contents of a file when it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::inbox) struct Note {
    /// Number of deliveries.
    pub(super) deliveries: u64,
    /// Number of the first delivery, and of the last.
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Note {
    /// Returns the note for a file with these contents.
    pub(in crate::inbox) fn of(contents: Option<Contents>) -> Self {
        let Some(Contents { first, last, deliveries, .. }) = contents else {
            return Self { deliveries: 0, first: 1, last: 0 };
        };
        let count = i64::try_from(first.count).unwrap_or(i64::MAX);
        Self { deliveries: deliveries as u64, first: first.seq.saturating_sub(count) + 1, last }
    }

    /// Writes the note beside the closed file at `path`.
    pub(in crate::inbox) fn write(self, path: &Path) -> Result<()> {
        set_aside::write_whole(&set_aside::note_of(path), serde_json::to_string(&self)?.as_bytes())
    }

    /// Removes the note: later writes to the file would make it wrong.
    pub(in crate::inbox) fn remove(path: &Path) -> Result<()> {
        let note = set_aside::note_of(path);
        match std::fs::remove_file(&note) {
            Ok(()) => set_aside::sync_folder(set_aside::folder_of(&note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads the note beside a damaged file. Returns `None` if it is unreadable or contradicts
    /// itself, or if there is a log: then the file was written after the note.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let note: Self =
            serde_json::from_slice(&std::fs::read(set_aside::note_of(path)).ok()?).ok()?;
        let room = u64::try_from(note.last.checked_sub(note.first)?.checked_add(1)?).ok()?;
        let alone = set_aside::log_of(path).symlink_metadata().is_err();
        (alone && note.deliveries <= room).then_some(note)
    }

    pub(super) fn covers(&self, first: i64, last: i64) -> bool {
        self.first <= first && last <= self.last
    }
}
