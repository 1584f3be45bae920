//! Metrics of the inbox's writer: its commits and rejections.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::family;
use super::register::Register;

/// Metrics of the inbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InboxMetrics {
    group: Histogram,
    commit: Histogram,
    failures: Counter,
    /// Rejections because too much waits in memory to be written.
    pub queue_full: Counter,
    /// Rejections because the quota is reached.
    pub quota_reached: Counter,
    /// Rejections because the file fails.
    pub failing: Counter,
    /// Writes without an answer in time.
    pub too_slow: Counter,
}

impl InboxMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let refusals = |reason| register.counter(family::INBOX_REFUSALS, &[("reason", reason)]);
        Self {
            group: register.histogram(family::INBOX_GROUP, &[]),
            commit: register.histogram(family::INBOX_COMMIT, &[]),
            failures: register.counter(family::INBOX_FAILURES, &[]),
            queue_full: refusals("queue_full"),
            quota_reached: refusals("quota_reached"),
            failing: refusals("failing"),
            too_slow: refusals("too_slow"),
        }
    }

    /// Records a commit; `deliveries` is 0 for one that only deletes.
    pub fn committed(&self, deliveries: usize, took: Duration) {
        if deliveries > 0 {
            self.group.record(count(deliveries));
        }
        self.commit.record(took);
    }

    /// Counts a failed commit.
    pub fn failed(&self) {
        self.failures.increment(1);
    }
}

/// Converts a count for a histogram; all counts are far below 2³².
pub(super) fn count(of: usize) -> f64 {
    u32::try_from(of).unwrap_or(u32::MAX).into()
}
