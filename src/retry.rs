//! Retries: waits that grow with each failure in a row, and the failures to log.

use std::time::Duration;

/// Failures in a row of work that is repeated until it succeeds.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Retry {
    /// Starts without failures. The wait after the first failure is `first`; it doubles with each
    /// further one, up to `max`.
    #[must_use]
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// Starts without failures. All waits are the same.
    #[must_use]
    pub const fn every(wait: Duration) -> Self {
        Self::new(wait, wait)
    }

    /// Returns the number of failures since the last success.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Counts a failure. Returns whether to log it: the first, second, fourth, eighth and so on, so
    /// that a long outage is logged at its start and at growing intervals.
    pub const fn fail(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        is_logged(self.failures)
    }

    /// Forgets the failures, after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the wait before the next attempt.
    #[must_use]
    pub fn wait(&self) -> Duration {
        // Beyond 2^16 times the first wait, every limit is reached.
        let doublings = self.failures.saturating_sub(1).min(16);
        self.first.saturating_mul(1 << doublings).min(self.max)
    }

    /// Returns a random wait between half of [`Self::wait`] and the whole, so that several workers
    /// and services do not retry at the same moment.
    #[must_use]
    pub fn spread_wait(&self) -> Duration {
        self.wait().mul_f64(rand::random_range(0.5..1.0))
    }
}

/// Returns whether to log the failure with this number in a row.
#[must_use]
pub const fn is_logged(failures: u32) -> bool {
    failures.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_begin_again_after_a_success() {
        let mut retry = Retry::new(Duration::from_millis(50), Duration::from_millis(300));
        let waits: Vec<u128> = (0..5)
            .map(|_| {
                retry.fail();
                retry.wait().as_millis()
            })
            .collect();
        assert_eq!(waits, [50, 100, 200, 300, 300]);
        retry.reset();
        assert_eq!((retry.failures(), retry.wait().as_millis()), (0, 50));
        for _ in 0..100 {
            retry.fail();
            assert!((25..=300).contains(&retry.spread_wait().as_millis()));
        }
        assert_eq!(retry.wait(), Duration::from_millis(300));
    }

    #[test]
    fn fewer_and_fewer_failures_of_a_long_outage_are_logged() {
        let mut retry = Retry::every(Duration::from_secs(5));
        let logged: Vec<u32> = (1..=20).filter(|_| retry.fail()).collect();
        assert_eq!(logged, [1, 2, 4, 8, 16]);
        assert_eq!(retry.wait(), Duration::from_secs(5));
    }
}
