//! Schedule of deliveries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Schedule of deliveries.
///
/// With a rate, the times are fixed in advance at equal distances, and a slow receiver does not
/// shift them. So the latency of a delivery includes its wait for those before it, as with the real
/// sender.
#[derive(Debug)]
pub(super) struct Pacer {
    start: Instant,
    /// End of the run.
    end: Option<Instant>,
    /// Deliveries per second.
    rate: Option<f64>,
    /// Number of scheduled deliveries.
    scheduled: AtomicU64,
}

impl Pacer {
    /// Returns a schedule that starts now.
    pub(super) fn new(rate: Option<f64>, duration: Option<Duration>) -> Self {
        let start = Instant::now();
        let end = duration.and_then(|duration| start.checked_add(duration));
        Self { start, end, rate, scheduled: AtomicU64::new(0) }
    }

    /// Returns the time of the next delivery; `None` after the end of the run.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.moment(self.scheduled.fetch_add(1, Ordering::Relaxed))?;
        self.is_in_time(due).then_some(due)
    }

    /// Returns true if no further delivery is due before the end of the run.
    pub(super) fn is_over(&self) -> bool {
        let next = self.moment(self.scheduled.load(Ordering::Relaxed));
        next.is_none_or(|due| !self.is_in_time(due))
    }

    /// Returns the time of the delivery with this index.
    fn moment(&self, index: u64) -> Option<Instant> {
        let Some(rate) = self.rate else {
            return Some(Instant::now());
        };
        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 deliveries")]
        let after = Duration::try_from_secs_f64(index as f64 / rate).ok()?;
        self.start.checked_add(after)
    }

    fn is_in_time(&self, due: Instant) -> bool {
        self.end.is_none_or(|end| due < end && Instant::now() < end)
    }

    /// Returns true if the times are fixed in advance.
    pub(super) fn is_open_loop(&self) -> bool {
        self.rate.is_some()
    }

    /// Returns the time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn late_requests_do_not_shift_the_schedule() {
        let pacer = Pacer::new(Some(4.0), Some(Duration::from_secs(2)));
        let mut moments = vec![pacer.next().unwrap() - pacer.start];
        tokio::time::advance(Duration::from_millis(1_900)).await;
        assert!(!pacer.is_over());
        while let Some(due) = pacer.next() {
            moments.push(due - pacer.start);
        }
        let expected: Vec<Duration> = (0..8).map(|n| Duration::from_millis(n * 250)).collect();
        assert_eq!(moments, expected);
        assert!(pacer.is_over(), "all deliveries are scheduled");
    }

    #[tokio::test(start_paused = true)]
    async fn delivery_without_a_rate_is_due_at_once_until_the_end() {
        let pacer = Pacer::new(None, Some(Duration::from_secs(1)));
        assert_eq!(pacer.next(), Some(Instant::now()));
        assert!(!pacer.is_over());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pacer.next(), None);
        assert!(pacer.is_over());
    }
}
