//! History of the primary's positions, from which the lag of a standby is computed.
//!
//! A standby that has replayed all that the primary had at some time is behind by at most the time
//! since then, even if nothing was written: an idle primary causes no lag.

use std::collections::VecDeque;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::postgres::Lsn;

/// Most samples: those of an hour. A standby that is further behind is not read.
const MAX_SAMPLES: usize = 3_600;

/// Position of the primary at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Time before the query to the primary.
    pub(super) at: Instant,
    /// The same time by the calendar.
    pub(super) time: DateTime<Utc>,
    pub(super) lsn: Lsn,
}

/// Samples in order. The first may be one that the standby has replayed; all after it are not.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Sample>);

impl History {
    /// Appends a sample.
    pub(super) fn push(&mut self, sample: Sample) {
        if self.0.len() >= MAX_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Returns the latest sample that a standby has replayed, and removes those before it.
    pub(super) fn replayed(&mut self, replayed: Lsn) -> Option<Sample> {
        // After a failover the primary may be further back than it was.
        let reached = self.0.iter().rposition(|sample| sample.lsn <= replayed)?;
        self.0.drain(..reached);
        self.0.front().copied()
    }

    /// Returns the oldest sample.
    pub(super) fn oldest(&self) -> Option<Sample> {
        self.0.front().copied()
    }

    /// Removes all samples, for when the primary has changed.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn history(lsns: &[i64]) -> (History, Instant) {
        let begin = Instant::now();
        let mut history = History::default();
        for (second, lsn) in lsns.iter().enumerate() {
            let at = begin + Duration::from_secs(second as u64);
            history.push(Sample { at, time: DateTime::UNIX_EPOCH, lsn: Lsn(*lsn) });
        }
        (history, begin)
    }

    #[test]
    fn age_of_a_standby_is_that_of_the_latest_replayed_sample() {
        let (mut history, begin) = history(&[10, 20, 30, 40]);
        let mut second =
            |lsn| history.replayed(Lsn(lsn)).map(|sample| (sample.at - begin).as_secs());
        assert_eq!(second(9), None);
        assert_eq!(second(10), Some(0));
        assert_eq!(second(29), Some(1));
        assert_eq!(second(40), Some(3));
        assert_eq!(second(50), Some(3));
    }

    #[test]
    fn idle_primary_causes_no_lag() {
        let (mut history, begin) = history(&[10, 10, 10, 10]);
        assert_eq!(history.replayed(Lsn(10)).unwrap().at, begin + Duration::from_secs(3));
        assert_eq!(history.0.len(), 1, "earlier samples are removed");
    }

    #[test]
    fn samples_are_limited() {
        let (mut history, _) = history(&vec![10; MAX_SAMPLES + 5]);
        assert_eq!(history.0.len(), MAX_SAMPLES);
        assert!(history.replayed(Lsn(9)).is_none() && history.oldest().is_some());
        history.clear();
        assert!(history.oldest().is_none());
    }
}
