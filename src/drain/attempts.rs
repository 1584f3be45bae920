//! The outcome of the last attempts to write, for whoever reports on the drain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::telemetry::metrics::Way;

/// How long a failed direct write counts. Nobody repeats it once its sender has been refused, so
/// it says nothing about later: an instance that is taken out of service for it gets no delivery
/// that could prove it well again.
const DIRECT_FAILURE_COUNTS_FOR: Duration = Duration::from_secs(10);

/// The last attempts. Clones share them.
#[derive(Clone, Debug)]
pub struct Attempts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Ticks after each commit, for whoever follows along: a hint and no more.
    committed: watch::Sender<()>,
    /// The drain's last one failed. It is repeated until it succeeds.
    drain_failed: AtomicBool,
    /// When the last direct one failed, if it did.
    direct_failed_at: Mutex<Option<Instant>>,
}

impl Attempts {
    /// `committed` ticks after each commit.
    #[must_use]
    pub fn new(committed: watch::Sender<()>) -> Self {
        Self(Arc::new(Shared {
            committed,
            drain_failed: AtomicBool::new(false),
            direct_failed_at: Mutex::new(None),
        }))
    }

    /// The last attempt to write deliveries to Postgres failed.
    #[must_use]
    pub fn have_failed(&self) -> bool {
        let direct = *self.0.direct_failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.drain_failed.load(Ordering::Relaxed)
            || direct.is_some_and(|at| at.elapsed() < DIRECT_FAILURE_COUNTS_FOR)
    }

    pub(super) fn record(&self, way: Way, failed: bool) {
        if !failed {
            self.0.committed.send_replace(());
        }
        match way {
            Way::Inbox => self.0.drain_failed.store(failed, Ordering::Relaxed),
            Way::Direct => {
                let mut at = self.0.direct_failed_at.lock().unwrap_or_else(PoisonError::into_inner);
                *at = failed.then(Instant::now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_drains_failure_counts_until_it_writes_and_a_direct_one_for_a_while() {
        let attempts = Attempts::new(watch::channel(()).0);
        assert!(!attempts.have_failed(), "nothing was tried yet");
        attempts.record(Way::Inbox, true);
        tokio::time::advance(DIRECT_FAILURE_COUNTS_FOR * 2).await;
        assert!(attempts.have_failed());
        attempts.record(Way::Inbox, false);
        assert!(!attempts.have_failed());
        attempts.record(Way::Direct, true);
        assert!(attempts.have_failed());
        attempts.record(Way::Direct, false);
        assert!(!attempts.have_failed());
        attempts.record(Way::Direct, true);
        tokio::time::advance(DIRECT_FAILURE_COUNTS_FOR).await;
        assert!(!attempts.have_failed());
    }
}
