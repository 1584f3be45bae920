//! How much of a damaged file is lost: never less than is certain, never more than can be, and
//! exactly where the file or its note tells.

use std::collections::HashSet;

use crate::domain::Arrival;
use crate::inbox::file::PAGE_BYTES;
use crate::inbox::record::{SMALLEST_RECORD, decode_group};

use super::note::Note;
use super::scan::{Findings, Origin, Piece};

/// Deliveries that are remembered, so that none is counted or brought over twice. 100 MB at the
/// most, for as long as it takes; beyond it the counts are too high.
const REMEMBERED: usize = 4_000_000;
/// Deliveries that damage to one page can cost: as many as fit, and those that reach into it.
const MOST_IN_A_PAGE: u64 = PAGE_BYTES as u64 / SMALLEST_RECORD as u64 + 2;

/// What came of one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Deliveries that are safe.
    pub(super) salvaged: u64,
    /// Of those, the ones that may have been drained long ago, and then they hide as many that are
    /// lost.
    doubtful: u64,
    /// Of those, the ones that have been drained for certain.
    drained: u64,
    /// Bytes of groups that are no whole deliveries.
    pub(super) damaged_bytes: u64,
    pub(super) findings: Findings,
    pub(super) note: Option<Note>,
    /// Pages that the disk did not give.
    pub(super) unreadable: u64,
    known: HashSet<uuid::Uuid>,
}

/// How many deliveries are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) at_least: u64,
    /// `None` where nobody can tell.
    pub(super) at_most: Option<u64>,
}

impl Outcome {
    /// Counts what a piece holds, and gives the deliveries that did not come before.
    pub(super) fn take(&mut self, piece: Piece) -> Vec<Arrival> {
        let Piece { bytes, origin } = piece;
        let (mut arrivals, damaged) = decode_group(bytes);
        let known = &mut self.known;
        arrivals.retain(|one| known.len() >= REMEMBERED || known.insert(one.id.0));
        let count = arrivals.len() as u64;
        self.salvaged += count;
        match origin {
            Origin::Table => {
                self.damaged_bytes += damaged.map_or(0, |damaged| damaged.bytes as u64);
            }
            Origin::Drained => self.drained += count,
            Origin::Unknown => self.doubtful += count,
        }
        arrivals
    }

    /// How many of the deliveries that were not drained are gone.
    pub(super) fn loss(&self) -> Loss {
        let findings = &self.findings;
        // A note that does not fit what is there is another file's.
        let note = self.note.filter(|note| match findings.range() {
            Some((first, last)) => note.covers(first, last),
            None => true,
        });
        let held = note.map_or_else(|| findings.held(), |note| note.deliveries);
        // What was found for certain, and what may have been.
        let with_doubtful = self.salvaged.saturating_sub(self.drained);
        let missing = held.saturating_sub(with_doubtful.saturating_sub(self.doubtful));
        let at_most = if note.is_some() || !findings.open_ended {
            Some(missing)
        } else {
            findings.damaged_room.map(|pages| {
                let records = self.damaged_bytes / SMALLEST_RECORD as u64;
                pages.saturating_mul(MOST_IN_A_PAGE).saturating_add(records).max(missing)
            })
        };
        Loss { at_least: held.saturating_sub(with_doubtful), at_most }
    }
}

impl Loss {
    pub(super) const NONE: Self = Self { at_least: 0, at_most: Some(0) };

    /// There may be more than are certain.
    pub(super) fn perhaps_more(self) -> bool {
        self.at_most != Some(self.at_least)
    }

    /// In words, for a log.
    pub(super) fn in_words(self) -> String {
        match (self.at_least, self.at_most) {
            (least, Some(most)) if least == most => format!("{least}"),
            (0, Some(most)) => format!("{most} at the most"),
            (least, Some(most)) => format!("between {least} and {most}"),
            (0, None) => "nobody can tell how many".into(),
            (least, None) => format!("{least} at the least; nobody can tell how many more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_told_as_far_as_it_is_known() {
        let words = |at_least, at_most| Loss { at_least, at_most }.in_words();
        assert_eq!(words(7, Some(7)), "7");
        assert_eq!(words(4, Some(3_700)), "between 4 and 3700");
        assert_eq!(words(0, Some(9)), "9 at the most");
        assert_eq!(words(4, None), "4 at the least; nobody can tell how many more");
        assert!(!Loss::NONE.perhaps_more());
    }
}
