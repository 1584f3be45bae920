//! Where the primary was, and when: what a standby has replayed tells how old it is.
//!
//! A standby that has replayed all that the primary had at some time is behind by no more than what
//! has passed since, whether or not anything was written: an idle primary makes no lag.

use std::collections::VecDeque;
use std::time::Instant;

use chrono::{DateTime, Utc};

use crate::postgres::Lsn;

/// Most samples that are kept: an hour of them. A standby that is further behind is not read.
const MOST_SAMPLES: usize = 3_600;

/// One look at the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Before the primary was asked.
    pub(super) at: Instant,
    /// The same by the calendar.
    pub(super) time: DateTime<Utc>,
    pub(super) lsn: Lsn,
}

/// Samples in order. The first may be one that the standby has replayed; all after it are not.
#[derive(Debug, Default)]
pub(super) struct History(VecDeque<Sample>);

impl History {
    /// Adds a look at the primary.
    pub(super) fn push(&mut self, sample: Sample) {
        if self.0.len() >= MOST_SAMPLES {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    /// Returns the latest sample that a standby has replayed; those before it are of no more use.
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

    /// Forgets all, as of a primary that is another one now.
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
    fn a_standby_is_as_old_as_the_latest_sample_that_it_has_replayed() {
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
    fn an_idle_primary_makes_no_lag() {
        let (mut history, begin) = history(&[10, 10, 10, 10]);
        assert_eq!(history.replayed(Lsn(10)).unwrap().at, begin + Duration::from_secs(3));
        assert_eq!(history.0.len(), 1, "earlier samples are of no use");
    }

    #[test]
    fn samples_are_limited() {
        let (mut history, _) = history(&vec![10; MOST_SAMPLES + 5]);
        assert_eq!(history.0.len(), MOST_SAMPLES);
        assert!(history.replayed(Lsn(9)).is_none() && history.oldest().is_some());
        history.clear();
        assert!(history.oldest().is_none());
    }
}
