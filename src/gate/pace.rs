//! How far the other end is behind the rate at which it has to go on.

use std::time::Duration;

/// A rate, and how far somebody is behind it. Being ahead is not saved up: whoever was quick and
/// then stops is as far behind as whoever never began.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bytes_per_second: u32,
    behind: Duration,
}

impl Pace {
    /// Begins on time. The rate is at least one byte a second.
    #[must_use]
    pub const fn new(bytes_per_second: u32) -> Self {
        let bytes_per_second = if bytes_per_second == 0 { 1 } else { bytes_per_second };
        Self { bytes_per_second, behind: Duration::ZERO }
    }

    /// How far it is behind.
    #[must_use]
    pub fn behind(&self) -> Duration {
        self.behind
    }

    /// So long the other end was waited for.
    pub fn waited(&mut self, time: Duration) {
        self.behind = self.behind.saturating_add(time);
    }

    /// So many bytes went through.
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
    fn bytes_make_up_for_time_and_are_not_saved_up() {
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
    fn a_single_byte_now_and_then_is_no_progress() {
        let mut pace = Pace::new(8 << 10);
        for _ in 0..60 {
            pace.waited(Duration::from_secs(1));
            pace.went_on(1);
        }
        assert!(pace.behind() > Duration::from_secs(59));
    }
}
