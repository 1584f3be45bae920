//! How often an address has shown wrong credentials, or none where some are needed; and how many
//! lines in the log it has caused without any.
//!
//! The count decides how a failure is answered and what is logged, and nothing else: who has the
//! right credentials never comes here.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::network_of;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// Failures are counted by the minute: who has mended a key waits no longer to see it refused for
/// what is wrong with it.
const WINDOW_SECONDS: i64 = 60;
/// Failures of one address that are answered and logged in full, in each window. A person who sets
/// up a webhook fails a few times; who guesses fails without end.
const MOST_BY_ADDRESS: u32 = 20;
/// Failures of all addresses that are, in each window: many may share the guessing among them, and
/// the log has to stay readable.
const MOST_OVERALL: u32 = 1_000;
/// Lines of one address without valid credentials that are logged, in each window. A person who
/// tries things out causes a few dozen.
const MOST_LINES_BY_ADDRESS: u32 = 100;
/// Addresses that are remembered, the latest ones: about 2 MiB. Beyond that the limit on all
/// together holds.
const MOST_ADDRESSES: u64 = 10_000;
/// How long an address is remembered after its last failure.
const REMEMBERED_FOR: Duration = Duration::from_mins(2);
/// How often the log tells how many failures it was spared.
const REPORT_INTERVAL: Duration = Duration::from_mins(1);

/// Failed authentications by address, or lines in the log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Failures(Arc<Counts>);

/// What is counted, as the log says it.
#[derive(Debug)]
struct Kind {
    most_by_address: u32,
    /// An address has just had as many as it may.
    too_many: &'static str,
    /// How many were not logged.
    report: &'static str,
}

const AUTHENTICATION: Kind = Kind {
    most_by_address: MOST_BY_ADDRESS,
    too_many: "many wrong credentials came from this address; for the rest of this minute they are \
               answered 429, and counted instead of logged",
    report: "failed authentications were answered 429 and not logged",
};

const LINES: Kind = Kind {
    most_by_address: MOST_LINES_BY_ADDRESS,
    too_many: "many requests without valid credentials came from this address; for the rest of \
               this minute they are counted instead of logged",
    report: "requests without valid credentials were not logged",
};

#[derive(Debug)]
struct Counts {
    kind: Kind,
    by_address: Cache<IpAddr, Window>,
    overall: Mutex<Window>,
    /// Failures that no line in the log tells of, since the last report.
    passed_over: AtomicU64,
    clock: Clock,
}

/// So many failures within one window.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    number: i64,
    failures: u32,
}

/// There were too many; come back in the next window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// How long that is.
    pub retry_after_seconds: u32,
}

impl Window {
    /// In window `number`; what was counted in another one is forgotten, even if the clock was
    /// stepped back.
    fn at(self, number: i64) -> Self {
        if self.number == number { self } else { Self { number, failures: 0 } }
    }

    fn and_one(self) -> Self {
        Self { failures: self.failures.saturating_add(1), ..self }
    }
}

impl Failures {
    /// Counts failed authentications; nobody has failed yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::of(AUTHENTICATION, clock)
    }

    /// Counts lines in the log that anybody can cause.
    #[must_use]
    pub fn lines(clock: Clock) -> Self {
        Self::of(LINES, clock)
    }

    fn of(kind: Kind, clock: Clock) -> Self {
        let by_address = Cache::builder()
            .max_capacity(MOST_ADDRESSES)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(REMEMBERED_FOR)
            .build();
        Self(Arc::new(Counts {
            kind,
            by_address,
            overall: Mutex::default(),
            passed_over: AtomicU64::new(0),
            clock,
        }))
    }

    /// Counts a failure. An error says that it is one too many to be answered or logged in full.
    pub fn note(&self, client: IpAddr) -> Result<(), TooMany> {
        let (now, counts) = (self.now(), &self.0);
        let most = counts.kind.most_by_address;
        let and_one = |window: Window| window.at(now.window).and_one();
        let counted = counts
            .by_address
            .entry(network_of(client))
            .and_upsert_with(|old| and_one(old.map(moka::Entry::into_value).unwrap_or_default()))
            .into_value();
        let overall = {
            let mut overall = counts.overall.lock().unwrap_or_else(PoisonError::into_inner);
            // Of an address that fails without end, no more than its share is held against others.
            if counted.failures <= most {
                *overall = and_one(*overall);
            }
            overall.at(now.window)
        };
        if counted.failures <= most && overall.failures <= MOST_OVERALL {
            return Ok(());
        }
        counts.passed_over.fetch_add(1, Ordering::Relaxed);
        if counted.failures == most + 1 && overall.failures <= MOST_OVERALL {
            tracing::warn!(%client, "{}", counts.kind.too_many);
        }
        Err(TooMany { retry_after_seconds: now.seconds_left })
    }

    /// A failure of this address would be one too many.
    #[must_use]
    pub fn is_wary_of(&self, client: IpAddr) -> bool {
        let (now, counts) = (self.now(), &self.0);
        let overall = *counts.overall.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counts.by_address.get(&network_of(client)).unwrap_or_default();
        known.at(now.window).failures >= counts.kind.most_by_address
            || overall.at(now.window).failures >= MOST_OVERALL
    }

    /// Tells the log every minute what it was spared.
    pub async fn run(self, life: Lifecycle) {
        while tokio::time::timeout(REPORT_INTERVAL, life.stopping()).await.is_err() {
            self.run_once();
        }
        self.run_once();
    }

    /// Tells the log, where there is anything to tell; how many it was spared.
    pub fn run_once(&self) -> u64 {
        let count = self.0.passed_over.swap(0, Ordering::Relaxed);
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

impl Default for Failures {
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

    /// Ten seconds into a minute.
    fn failures() -> (Failures, Clock) {
        let clock = Clock::fixed(DateTime::from_timestamp(1_790_607_310, 0).unwrap());
        (Failures::new(clock.clone()), clock)
    }

    #[test]
    fn an_address_may_fail_so_often_in_a_minute() {
        let (failures, clock) = failures();
        let (one, other) = (ip("198.51.100.1"), ip("198.51.100.2"));
        for _ in 0..MOST_BY_ADDRESS {
            assert!(!failures.is_wary_of(one));
            assert_eq!(failures.note(one), Ok(()));
        }
        assert!(failures.is_wary_of(one));
        for _ in 0..5 {
            assert_eq!(failures.note(one), Err(TooMany { retry_after_seconds: 50 }));
        }
        assert!(!failures.is_wary_of(other));
        assert_eq!(failures.note(other), Ok(()));
        assert_eq!(failures.run_once(), 5);
        assert_eq!(failures.run_once(), 0);

        // Past the minute, or before it where the clock was stepped back.
        for step in [50, -120] {
            clock.set(clock.now() + TimeDelta::seconds(step));
            assert!(!failures.is_wary_of(one));
            assert_eq!(failures.note(one), Ok(()));
        }
    }

    #[test]
    fn the_addresses_of_one_host_count_as_one() {
        let (failures, _) = failures();
        for n in 0..MOST_BY_ADDRESS {
            assert_eq!(failures.note(ip(&format!("2001:db8:0:7::{n:x}"))), Ok(()));
        }
        assert!(failures.note(ip("2001:db8:0:7:ffff::1")).is_err());
        assert_eq!(failures.note(ip("2001:db8:0:8::1")), Ok(()));
    }

    #[test]
    fn all_addresses_together_may_fail_so_often_in_a_minute() {
        let (failures, clock) = failures();
        let guesser = ip("198.51.100.1");
        for _ in 0..MOST_OVERALL {
            let _ = failures.note(guesser);
        }
        assert_eq!(failures.note(ip("198.51.100.2")), Ok(()), "one alone does not use it up");
        for n in 0..MOST_OVERALL {
            let _ = failures.note(ip(&format!("203.0.{}.{}", n / 256, n % 256)));
        }
        assert!(failures.is_wary_of(ip("192.0.2.1")));
        assert!(failures.note(ip("192.0.2.1")).is_err());
        clock.set(clock.now() + TimeDelta::seconds(50));
        assert_eq!(failures.note(ip("192.0.2.1")), Ok(()));
    }
}
