//! Outcome of the last attempts to write to Postgres, for health checks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::telemetry::metrics::WritePath;

/// Time for which a failed direct write counts. It is not retried after its sender was refused. An
/// instance that is taken out of service because of it receives no delivery that could succeed.
const DIRECT_FAILURE_COUNTS_FOR: Duration = Duration::from_secs(10);

/// Outcome of the last attempts. Clones share it.
#[derive(Clone, Debug)]
pub struct Attempts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Notified after each commit: a hint for followers of the journal.
    committed: watch::Sender<()>,
    /// The drain's last attempt failed. It is retried until it succeeds.
    drain_failed: AtomicBool,
    /// Time of the last direct attempt, if it failed.
    direct_failed_at: Mutex<Option<Instant>>,
}

impl Attempts {
    /// Creates the record of attempts; `committed` is notified after each commit.
    #[must_use]
    pub fn new(committed: watch::Sender<()>) -> Self {
        Self(Arc::new(Shared {
            committed,
            drain_failed: AtomicBool::new(false),
            direct_failed_at: Mutex::new(None),
        }))
    }

    /// Returns true if the last attempt of the drain failed, or a recent direct one.
    #[must_use]
    pub fn have_failed(&self) -> bool {
        let direct = *self.0.direct_failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.drain_failed.load(Ordering::Relaxed)
            || direct.is_some_and(|at| at.elapsed() < DIRECT_FAILURE_COUNTS_FOR)
    }

    pub(super) fn record(&self, way: WritePath, failed: bool) {
        if !failed {
            self.0.committed.send_replace(());
        }
        match way {
            WritePath::Inbox => self.0.drain_failed.store(failed, Ordering::Relaxed),
            WritePath::Direct => {
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
    async fn drain_failure_counts_until_success_and_a_direct_one_for_10_seconds() {
        let attempts = Attempts::new(watch::channel(()).0);
        assert!(!attempts.have_failed(), "no attempt yet");
        attempts.record(WritePath::Inbox, true);
        tokio::time::advance(DIRECT_FAILURE_COUNTS_FOR * 2).await;
        assert!(attempts.have_failed());
        attempts.record(WritePath::Inbox, false);
        assert!(!attempts.have_failed());
        attempts.record(WritePath::Direct, true);
        assert!(attempts.have_failed());
        attempts.record(WritePath::Direct, false);
        assert!(!attempts.have_failed());
        attempts.record(WritePath::Direct, true);
        tokio::time::advance(DIRECT_FAILURE_COUNTS_FOR).await;
        assert!(!attempts.have_failed());
    }
}
