//! Recent events for the page: counts of the last 24 hours, and the times of the latest answers.
//! They are independent of the series for Prometheus.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// Hours that are counted, the current one included.
const HOURS: i64 = 24;
/// Number of hourly counts.
const PLACES: usize = 24;
const HOUR_SECONDS: i64 = 3_600;
/// Answers whose times are stored: enough for a meaningful 99th percentile.
const ANSWERS: usize = 1_000;

/// Count of the last 24 hours, by hour of the clock.
#[derive(Debug, Default)]
pub(super) struct RecentCount(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    /// Number of an hour since 1970, and the count in it.
    hours: [(i64, u64); PLACES],
    last_at: Option<DateTime<Utc>>,
}

/// Count with its latest time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// Number of times.
    pub count: u64,
    /// Latest time.
    pub last_at: DateTime<Utc>,
}

impl RecentCount {
    /// Counts one.
    pub(super) fn record(&self, at: DateTime<Utc>) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hour_of(at);
        let slot = usize::try_from(hour.rem_euclid(HOURS)).unwrap_or(0);
        if let Some((of, count)) = counted.hours.get_mut(slot) {
            if *of != hour {
                (*of, *count) = (hour, 0);
            }
            *count += 1;
        }
        counted.last_at = counted.last_at.max(Some(at));
    }

    /// Returns the count of the 24 hours up to `now`; `None` if it is 0.
    pub(super) fn read(&self, now: DateTime<Utc>) -> Option<Recent> {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hour = hour_of(now);
        let recent = counted.hours.iter().filter(|(of, _)| (hour - HOURS + 1..=hour).contains(of));
        let count = recent.map(|(_, count)| count).sum();
        counted.last_at.filter(|_| count > 0).map(|last_at| Recent { count, last_at })
    }
}

fn hour_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(HOUR_SECONDS)
}

/// Times of the latest answers.
#[derive(Debug)]
pub(super) struct LatestTimes {
    /// Microseconds.
    times: Box<[AtomicU32]>,
    recorded: AtomicUsize,
}

/// The latest answers' times, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Answers, 1,000 at the most.
    pub count: usize,
    /// Median.
    pub p50_us: u32,
    /// 90th percentile.
    pub p90_us: u32,
    /// 99th percentile.
    pub p99_us: u32,
    /// Longest.
    pub max_us: u32,
}

impl Default for LatestTimes {
    fn default() -> Self {
        let times = (0..ANSWERS).map(|_| AtomicU32::new(0)).collect();
        Self { times, recorded: AtomicUsize::new(0) }
    }
}

impl LatestTimes {
    /// Records an answer's time.
    pub(super) fn record(&self, took: Duration) {
        let place = self.recorded.fetch_add(1, Ordering::Relaxed) % ANSWERS;
        if let Some(time) = self.times.get(place) {
            time.store(u32::try_from(took.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Returns their percentiles; `None` before the first answer.
    pub(super) fn spread(&self) -> Option<Spread> {
        let count = self.recorded.load(Ordering::Relaxed).min(ANSWERS);
        let mut times: Vec<u32> =
            self.times.iter().take(count).map(|time| time.load(Ordering::Relaxed)).collect();
        times.sort_unstable();
        // The smallest time that `of` percent of the answers did not exceed.
        let percentile = |of: usize| times.get((count * of).div_ceil(100).max(1) - 1).copied();
        Some(Spread {
            count,
            p50_us: percentile(50)?,
            p90_us: percentile(90)?,
            p99_us: percentile(99)?,
            max_us: percentile(100)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_607_253, 0).unwrap() + TimeDelta::hours(hours)
    }

    #[test]
    fn count_covers_the_last_24_hours() {
        let count = RecentCount::default();
        assert_eq!(count.read(at(0)), None);
        for hour in [0, 0, 1, 23] {
            count.record(at(hour));
        }
        let read = |hour| count.read(at(hour)).map(|recent| (recent.count, recent.last_at));
        assert_eq!(read(23), Some((4, at(23))));
        assert_eq!(read(24), Some((2, at(23))), "the first hour is over");
        assert_eq!(read(46), Some((1, at(23))));
        assert_eq!(read(47), None);
        count.record(at(48));
        assert_eq!(read(48), Some((1, at(48))), "the hour's slot is reused");
    }

    #[test]
    fn spread_is_that_of_the_latest_answers() {
        let times = LatestTimes::default();
        assert_eq!(times.spread(), None);
        times.record(Duration::from_millis(7));
        let one = Spread { count: 1, p50_us: 7_000, p90_us: 7_000, p99_us: 7_000, max_us: 7_000 };
        assert_eq!(times.spread(), Some(one));
        for micros in 1..=1_000 {
            times.record(Duration::from_micros(micros));
        }
        let all = Spread { count: 1_000, p50_us: 500, p90_us: 900, p99_us: 990, max_us: 1_000 };
        assert_eq!(times.spread(), Some(all));
    }
}
