//! Bounds of the deliveries lost in a damaged file: exact if the file or its note allows it,
//! otherwise a certain lower bound and a possible upper bound.

use std::collections::HashSet;

use crate::domain::Arrival;
use crate::inbox::page_size::PAGE_BYTES;
use crate::inbox::record::{SMALLEST_RECORD, decode_group};

use super::note::Note;
use super::scan::{Findings, Origin, Piece};

/// Most IDs of deliveries that are remembered, so that none is counted or submitted twice: at most
/// 100 MB during the recovery. Beyond it the counts are too high.
const REMEMBERED: usize = 4_000_000;
/// Most deliveries that damage to one page can lose: as many as fit, and two that overlap its ends.
const MAX_IN_A_PAGE: u64 = PAGE_BYTES as u64 / SMALLEST_RECORD as u64 + 2;

/// Result of recovering one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Recovered deliveries.
    pub(super) salvaged: u64,
    /// Recovered deliveries that may have been drained earlier. Each may hide a lost one.
    doubtful: u64,
    /// Recovered deliveries that have certainly been drained.
    drained: u64,
    /// Bytes of groups that belong to no intact delivery.
    pub(super) damaged_bytes: u64,
    pub(super) findings: Findings,
    pub(super) note: Option<Note>,
    /// Pages that could not be read from the disk.
    pub(super) unreadable: u64,
    known: HashSet<uuid::Uuid>,
}

/// Bounds of the number of lost deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) at_least: u64,
    /// `None` if it is unknown.
    pub(super) at_most: Option<u64>,
}

impl Outcome {
    /// Counts the deliveries of a piece, and returns those that are new.
    pub(super) fn add_piece(&mut self, piece: Piece) -> Vec<Arrival> {
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

    /// Returns how many undrained deliveries are lost.
    pub(super) fn loss(&self) -> Loss {
        let findings = &self.findings;
        // A note that does not cover the numbers found belongs to another file.
        let note = self.note.filter(|note| match findings.range() {
            Some((first, last)) => note.covers(first, last),
            None => true,
        });
        let held = note.map_or_else(|| findings.held(), |note| note.deliveries);
        // Recovered deliveries that were not certainly drained.
        let with_doubtful = self.salvaged.saturating_sub(self.drained);
        let missing = held.saturating_sub(with_doubtful.saturating_sub(self.doubtful));
        let at_most = if note.is_some() || !findings.open_ended {
            Some(missing)
        } else {
            findings.damaged_room.map(|pages| {
                let records = self.damaged_bytes / SMALLEST_RECORD as u64;
                pages.saturating_mul(MAX_IN_A_PAGE).saturating_add(records).max(missing)
            })
        };
        Loss { at_least: held.saturating_sub(with_doubtful), at_most }
    }
}

impl Loss {
    pub(super) const NONE: Self = Self { at_least: 0, at_most: Some(0) };

    /// Returns true if more may be lost than the lower bound.
    pub(super) fn perhaps_more(self) -> bool {
        self.at_most != Some(self.at_least)
    }

    /// Describes the loss for the log.
    pub(super) fn describe(self) -> String {
        match (self.at_least, self.at_most) {
            (least, Some(most)) if least == most => format!("{least}"),
            (0, Some(most)) => format!("at most {most}"),
            (least, Some(most)) => format!("between {least} and {most}"),
            (0, None) => "unknown".into(),
            (least, None) => format!("at least {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_described_by_its_known_bounds() {
        let words = |at_least, at_most| Loss { at_least, at_most }.describe();
        assert_eq!(words(7, Some(7)), "7");
        assert_eq!(words(4, Some(3_700)), "between 4 and 3700");
        assert_eq!(words(0, Some(9)), "at most 9");
        assert_eq!(words(4, None), "at least 4");
        assert!(!Loss::NONE.perhaps_more());
    }
}
