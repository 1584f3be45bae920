//! The inbox's writer: its commits, and what it refused.

use std::time::Duration;

use metrics::{Counter, Histogram};

use super::{Register, family};

/// What the inbox counts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct InboxMetrics {
    group: Histogram,
    commit: Histogram,
    failures: Counter,
    /// Refused since memory holds too much that waits to be written.
    pub queue_full: Counter,
    /// Refused since the quota is reached.
    pub quota_reached: Counter,
    /// Refused since the file fails.
    pub failing: Counter,
    /// Not answered in time.
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

    /// A commit is on disk; `deliveries` is 0 for one that only forgot.
    pub fn committed(&self, deliveries: usize, took: Duration) {
        if deliveries > 0 {
            self.group.record(count(deliveries));
        }
        self.commit.record(took);
    }

    /// The file took no commit.
    pub fn failed(&self) {
        self.failures.increment(1);
    }
}

/// A count as a histogram takes it; all of ours are far below 2³².
pub(super) fn count(of: usize) -> f64 {
    u32::try_from(of).unwrap_or(u32::MAX).into()
}
