//! When each delivery is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Gives out the moments at which deliveries are due.
///
/// With a rate they are set beforehand, at even distances, and stay where they are when the
/// receiver is slow: a delivery that has to wait for the ones before it has waited, as it would
/// have with the real sender, and its latency shows it.
#[derive(Debug)]
pub(super) struct Pacer {
    start: Instant,
    /// The run is over at this moment.
    end: Option<Instant>,
    /// Deliveries a second.
    rate: Option<f64>,
    given: AtomicU64,
}

impl Pacer {
    /// Begins now.
    pub(super) fn new(rate: Option<f64>, duration: Option<Duration>) -> Self {
        let start = Instant::now();
        let end = duration.and_then(|duration| start.checked_add(duration));
        Self { start, end, rate, given: AtomicU64::new(0) }
    }

    /// The next delivery's moment; none once the run is over.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.moment(self.given.fetch_add(1, Ordering::Relaxed))?;
        self.is_in_time(due).then_some(due)
    }

    /// Nothing new is to begin: the time is up, or every moment before its end is given out.
    pub(super) fn is_over(&self) -> bool {
        let next = self.moment(self.given.load(Ordering::Relaxed));
        next.is_none_or(|due| !self.is_in_time(due))
    }

    /// The moment of the delivery with this index.
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

    /// Moments are set beforehand.
    pub(super) fn is_open_loop(&self) -> bool {
        self.rate.is_some()
    }

    /// Since the beginning.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moments_keep_their_distance_however_late_they_are_asked_for() {
        let pacer = Pacer::new(Some(4.0), Some(Duration::from_secs(2)));
        let mut moments = vec![pacer.next().unwrap() - pacer.start];
        tokio::time::advance(Duration::from_millis(1_900)).await;
        assert!(!pacer.is_over());
        while let Some(due) = pacer.next() {
            moments.push(due - pacer.start);
        }
        let expected: Vec<Duration> = (0..8).map(|n| Duration::from_millis(n * 250)).collect();
        assert_eq!(moments, expected);
        assert!(pacer.is_over(), "every moment is given out");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_a_delivery_is_due_at_once_until_the_time_is_up() {
        let pacer = Pacer::new(None, Some(Duration::from_secs(1)));
        assert_eq!(pacer.next(), Some(Instant::now()));
        assert!(!pacer.is_over());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(pacer.next(), None);
        assert!(pacer.is_over());
    }
}
