//! Delay of a client behind the minimum rate at which it must send or receive.

use std::time::Duration;

/// Minimum rate, and the delay behind it. Being ahead earns no credit: a client that was fast and
/// stops is as far behind as one that never began.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: u32,
    behind: Duration,
}

impl Pace {
    /// Creates a pace without delay. The rate is at least one byte a second.
    #[must_use]
    pub const fn new(bytes_per_second: u32) -> Self {
        let bytes_per_second = if bytes_per_second == 0 { 1 } else { bytes_per_second };
        Self { bytes_per_second, behind: Duration::ZERO }
    }

    /// Returns the delay.
    #[must_use]
    pub fn behind(&self) -> Duration {
        self.behind
    }

    /// Adds time that was spent waiting for the client.
    pub fn waited(&mut self, time: Duration) {
        self.behind = self.behind.saturating_add(time);
    }

    /// Subtracts the time that transferred bytes are worth at the minimum rate.
    pub fn went_on(&mut self, bytes: usize) {
        if self.behind > Duration::ZERO {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            let worth = bytes.saturating_mul(1_000_000) / u64::from(self.bytes_per_second);
            self.behind = self.behind.saturating_sub(Duration::from_micros(worth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_reduce_the_delay_and_earn_no_credit() {
        let mut pace = Pace::new(1_000);
        pace.went_on(1_000_000);
        pace.waited(Duration::from_secs(10));
        assert_eq!(pace.behind(), Duration::from_secs(10));
        pace.went_on(4_000);
        assert_eq!(pace.behind(), Duration::from_secs(6));
        pace.went_on(usize::MAX);
        assert_eq!(pace.behind(), Duration::ZERO);
    }

    #[test]
    fn single_bytes_do_not_make_up_the_delay() {
        let mut pace = Pace::new(8 << 10);
        for _ in 0..60 {
            pace.waited(Duration::from_secs(1));
            pace.went_on(1);
        }
        assert!(pace.behind() > Duration::from_secs(59));
    }
}
