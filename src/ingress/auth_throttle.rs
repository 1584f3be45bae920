//! Counts of an address's requests with wrong or missing credentials, and of the log lines that it
//! causes without valid ones.
//!
//! The counts only decide how a failure is answered and if it is logged. Requests with valid
//! credentials are not counted.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::network::network_of;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// Length of a window. After fixing a key, a client waits at most this long for an answer that
/// names the next fault.
const WINDOW_SECONDS: i64 = 60;
/// Failures of one address in a window that are answered and logged in full. Setting up a webhook
/// causes a few failures; guessing causes failures without end.
const MAX_BY_ADDRESS: u32 = 20;
/// Failures of all addresses in a window that are answered and logged in full: many addresses may
/// guess together, and the log must stay readable.
const MAX_OVERALL: u32 = 1_000;
/// Log lines of one address without valid credentials in a window. Manual tests cause a few dozen.
const MAX_LINES_BY_ADDRESS: u32 = 100;
/// Most addresses that are counted, the latest ones: about 2 MiB. The overall limit covers the
/// others.
const MAX_ADDRESSES: u64 = 10_000;
/// Time for which an address is remembered after its last failure.
const REMEMBERED_FOR: Duration = Duration::from_mins(2);
/// Interval of the log lines with the number of failures that were not logged.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Counts of failed authentications, or of log lines, by address. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AuthThrottle(Arc<Counts>);

/// Limit and log messages of a kind of count.
#[derive(Debug)]
struct Kind {
    most_by_address: u32,
    /// Message when an address reaches its limit.
    too_many: &'static str,
    /// Message with the number of those that were not logged.
    report: &'static str,
}

const AUTHENTICATION: Kind = Kind {
    most_by_address: MAX_BY_ADDRESS,
    too_many: "many wrong credentials from this address; for the rest of this minute they are \
               answered 429, and counted instead of logged",
    report: "failed authentications were answered 429 and not logged",
};

const LINES: Kind = Kind {
    most_by_address: MAX_LINES_BY_ADDRESS,
    too_many: "many requests without valid credentials from this address; for the rest of this \
               minute they are counted instead of logged",
    report: "requests without valid credentials were not logged",
};

#[derive(Debug)]
struct Counts {
    kind: Kind,
    by_address: Cache<IpAddr, Window>,
    overall: Mutex<Window>,
    /// Failures that were not logged since the last report.
    unlogged: AtomicU64,
    clock: Clock,
}

/// Number of failures in one window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    failures: u32,
}

/// The limit of the window is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// Time until the next window.
    pub retry_after_seconds: u32,
}

impl Window {
    /// Returns the count in window `number`. The count of any other window is dropped, also of a
    /// later one after the clock was set back.
    fn at(self, number: i64) -> Self {
        if self.number == number { self } else { Self { number, failures: 0 } }
    }

    fn incremented(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }
}

impl AuthThrottle {
    /// Creates a counter of failed authentications.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::of(AUTHENTICATION, clock)
    }

    /// Creates a counter of log lines that requests without valid credentials cause.
    #[must_use]
    pub fn lines(clock: Clock) -> Self {
        Self::of(LINES, clock)
    }

    fn of(kind: Kind, clock: Clock) -> Self {
        let by_address = Cache::builder()
            .max_capacity(MAX_ADDRESSES)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(REMEMBERED_FOR)
            .build();
        Self(Arc::new(Counts {
            kind,
            by_address,
            overall: Mutex::default(),
            unlogged: AtomicU64::new(0),
            clock,
        }))
    }

    /// Counts a failure.
    ///
    /// # Errors
    ///
    /// Returns [`TooMany`] above a limit: the failure is not to be answered or logged in full.
    pub fn note(&self, client: IpAddr) -> Result<(), TooMany> {
        let (now, counts) = (self.now(), &self.0);
        let most = counts.kind.most_by_address;
        let increment = |window: Window| window.at(now.window).incremented();
        let counted = counts
            .by_address
            .entry(network_of(client))
            .and_upsert_with(|old| increment(old.map(moka::Entry::into_value).unwrap_or_default()))
            .into_value();
        let overall = {
            let mut overall = counts.overall.lock().unwrap_or_else(PoisonError::into_inner);
            // An address above its own limit does not use up the overall one.
            if counted.failures <= most {
                *overall = increment(*overall);
            }
            overall.at(now.window)
        };
        if counted.failures <= most && overall.failures <= MAX_OVERALL {
            return Ok(());
        }
        counts.unlogged.fetch_add(1, Ordering::Relaxed);
        if counted.failures == most + 1 && overall.failures <= MAX_OVERALL {
            tracing::warn!(%client, "{}", counts.kind.too_many);
        }
        Err(TooMany { retry_after_seconds: now.seconds_left })
    }

    /// Returns true if a further failure of this address would exceed a limit.
    #[must_use]
    pub fn is_throttled(&self, client: IpAddr) -> bool {
        let (now, counts) = (self.now(), &self.0);
        let overall = *counts.overall.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.by_address.get(&network_of(client)).unwrap_or_default();
        known.at(now.window).failures >= counts.kind.most_by_address
            || overall.at(now.window).failures >= MAX_OVERALL
    }

    /// Logs the number of failures that were not logged, every minute until the service stops.
    pub async fn run(self, life: Lifecycle) {
        while tokio::time::timeout(REPORT_INTERVAL, life.stopping()).await.is_err() {
            self.run_once();
        }
        self.run_once();
    }

    /// Logs the number of failures that were not logged, if there are any, and returns it.
    pub fn run_once(&self) -> u64 {
        let count = self.0.unlogged.swap(0, Ordering::Relaxed);
        if count > 0 {
            tracing::warn!(count, "{}", self.0.kind.report);
        }
        count
    }

    fn now(&self) -> Now {
        let seconds = self.0.clock.now().timestamp();
        let left = WINDOW_SECONDS - seconds.rem_euclid(WINDOW_SECONDS);
        Now {
            window: seconds.div_euclid(WINDOW_SECONDS),
            seconds_left: u32::try_from(left).unwrap_or_default(),
        }
    }
}

impl Default for AuthThrottle {
    fn default() -> Self {
        Self::new(Clock::system())
    }
}

struct Now {
    window: i64,
    seconds_left: u32,
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Returns a counter with its clock 10 s after the start of a window.
    fn failures() -> (AuthThrottle, Clock) {
        let clock = Clock::fixed(DateTime::from_timestamp(1_790_607_310, 0).unwrap());
        (AuthThrottle::new(clock.clone()), clock)
    }

    #[test]
    fn failures_of_an_address_are_limited_per_minute() {
        let (failures, clock) = failures();
        let (one, other) = (ip("198.51.100.1"), ip("198.51.100.2"));
        for _ in 0..MAX_BY_ADDRESS {
            assert!(!failures.is_throttled(one));
            assert_eq!(failures.note(one), Ok(()));
        }
        assert!(failures.is_throttled(one));
        for _ in 0..5 {
            assert_eq!(failures.note(one), Err(TooMany { retry_after_seconds: 50 }));
        }
        assert!(!failures.is_throttled(other));
        assert_eq!(failures.note(other), Ok(()));
        assert_eq!(failures.run_once(), 5);
        assert_eq!(failures.run_once(), 0);

        // After the minute, and before it, as after the clock was set back.
        for step in [50, -120] {
            clock.set(clock.now() + TimeDelta::seconds(step));
            assert!(!failures.is_throttled(one));
            assert_eq!(failures.note(one), Ok(()));
        }
    }

    #[test]
    fn ipv6_addresses_of_one_host_count_as_one() {
        let (failures, _) = failures();
        for n in 0..MAX_BY_ADDRESS {
            assert_eq!(failures.note(ip(&format!("2001:db8:0:7::{n:x}"))), Ok(()));
        }
        assert!(failures.note(ip("2001:db8:0:7:ffff::1")).is_err());
        assert_eq!(failures.note(ip("2001:db8:0:8::1")), Ok(()));
    }

    #[test]
    fn failures_of_all_addresses_are_limited_per_minute() {
        let (failures, clock) = failures();
        let guesser = ip("198.51.100.1");
        for _ in 0..MAX_OVERALL {
            let _ = failures.note(guesser);
        }
        assert_eq!(failures.note(ip("198.51.100.2")), Ok(()), "one address does not use it up");
        for n in 0..MAX_OVERALL {
            let _ = failures.note(ip(&format!("203.0.{}.{}", n / 256, n % 256)));
        }
        assert!(failures.is_throttled(ip("192.0.2.1")));
        assert!(failures.note(ip("192.0.2.1")).is_err());
        clock.set(clock.now() + TimeDelta::seconds(50));
        assert_eq!(failures.note(ip("192.0.2.1")), Ok(()));
    }
}
