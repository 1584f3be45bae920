//! Metrics of the webhook: answers, rejections, times, and the last delivery.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Histogram};

use super::family;
use super::recent::{LatestTimes, Recent, RecentCount, Spread};
use super::register::{Register, UNKNOWN_SOURCE};
use crate::domain::SourceName;

/// Statuses with a separate series; the last label is for any other.
const STATUSES: [(u16, &str); 10] = [
    (200, "200"),
    (400, "400"),
    (401, "401"),
    (404, "404"),
    (408, "408"),
    (413, "413"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (503, "503"),
];
const OTHER: &str = "other";

/// Metrics of the webhook.
#[derive(Debug)]
pub struct WebhookMetrics {
    sources: HashMap<SourceName, Source>,
    unknown: Source,
    join: Histogram,
    other: Histogram,
    join_times: LatestTimes,
    other_times: LatestTimes,
    last_received: Latest,
    last_test: Latest,
}

/// Kind of a delivery, as known when it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventKind {
    /// A `room.join`: the avatar waits for its answer.
    Join,
    /// The dashboard's Test button.
    Test,
    /// Any other delivery, also an unreadable one.
    #[default]
    Other,
}

#[derive(Debug)]
struct Source {
    answers: [Counter; STATUSES.len() + 1],
    refusals: HashMap<&'static str, Counter>,
    recent_refusals: [RecentCount; REASONS.len()],
    last_real: Latest,
    last_test: Latest,
}

impl Source {
    fn new(register: &Register, source: &str, checks: &[&'static str]) -> Self {
        let labels = STATUSES.map(|(_, label)| label);
        Self {
            answers: std::array::from_fn(|at| {
                let status = labels.get(at).copied().unwrap_or(OTHER);
                let labels = [("source", source), ("status", status)];
                register.counter(family::WEBHOOK_ANSWERS, &labels)
            }),
            refusals: checks
                .iter()
                .map(|check| {
                    let labels = [("source", source), ("check", *check)];
                    (*check, register.counter(family::WEBHOOK_REFUSALS, &labels))
                })
                .collect(),
            recent_refusals: std::array::from_fn(|_| RecentCount::default()),
            last_real: Latest::default(),
            last_test: Latest::default(),
        }
    }
}

/// Checks that may reject a delivery, as values of a label.
const CHECKS: [&str; 8] = [
    "missing_signature",
    "signature_prefix",
    "signature_form",
    "wrong_signature",
    "missing_header",
    "wrong_header",
    "missing_timestamp",
    "stale_timestamp",
];

/// Reasons for a rejection: a check of the credentials, or the code of the answer.
const REASONS: [&str; 15] = [
    "missing_signature",
    "signature_prefix",
    "signature_form",
    "wrong_signature",
    "missing_header",
    "wrong_header",
    "missing_timestamp",
    "stale_timestamp",
    "payload_too_large",
    "request_timeout",
    "unreadable_delivery",
    "not_durable",
    "unavailable",
    "invalid_parameter",
    "unknown_source",
];

impl WebhookMetrics {
    pub(super) fn new(register: &Register, sources: &[&SourceName]) -> Self {
        let series =
            |name: &&SourceName| ((*name).clone(), Source::new(register, name.as_str(), &CHECKS));
        let duration = |event| register.histogram(family::WEBHOOK_DURATION, &[("event", event)]);
        Self {
            sources: sources.iter().map(series).collect(),
            unknown: Source::new(register, UNKNOWN_SOURCE, &[]),
            join: duration("room.join"),
            other: duration("other"),
            join_times: LatestTimes::default(),
            other_times: LatestTimes::default(),
            last_received: Latest::default(),
            last_test: Latest::default(),
        }
    }

    /// Records an answer to a delivery, whatever its status.
    pub fn answered(
        &self,
        source: Option<&SourceName>,
        seen: EventKind,
        status: u16,
        took: Duration,
    ) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        self.source(source).answers[known.unwrap_or(STATUSES.len())].increment(1);
        let histogram = if seen == EventKind::Join { &self.join } else { &self.other };
        histogram.record(took);
        self.times(seen).record(took);
    }

    /// Records a rejection for one of [`REASONS`].
    pub fn refused(&self, source: Option<&SourceName>, reason: &'static str, at: DateTime<Utc>) {
        let source = self.source(source);
        if let Some(counter) = source.refusals.get(reason) {
            counter.increment(1);
        }
        let place = REASONS.iter().position(|known| *known == reason);
        if let Some(count) = place.and_then(|place| source.recent_refusals.get(place)) {
            count.record(at);
        }
    }

    /// Records a durable delivery.
    pub fn kept(&self, source: &SourceName, seen: EventKind, received_at: DateTime<Utc>) {
        self.last_received.record(received_at);
        let source = self.source(Some(source));
        if seen == EventKind::Test {
            self.last_test.record(received_at);
            source.last_test.record(received_at);
        } else {
            source.last_real.record(received_at);
        }
    }

    /// Returns the rejections of a source in the last 24 hours by reason, or those of unknown
    /// sources.
    #[must_use]
    pub fn recent_refusals(
        &self,
        source: Option<&SourceName>,
        now: DateTime<Utc>,
    ) -> Vec<(&'static str, Recent)> {
        let counts = REASONS.iter().zip(&self.source(source).recent_refusals);
        counts.filter_map(|(reason, count)| Some((*reason, count.read(now)?))).collect()
    }

    /// Returns the time of this process' last delivery of a source, except tests.
    #[must_use]
    pub fn last_real_of(&self, source: &SourceName) -> Option<DateTime<Utc>> {
        self.source(Some(source)).last_real.get()
    }

    /// Returns the time of this process' last test of a source.
    #[must_use]
    pub fn last_test_of(&self, source: &SourceName) -> Option<DateTime<Utc>> {
        self.source(Some(source)).last_test.get()
    }

    /// Returns the percentiles of the latest answers: to `room.join`, or to all others.
    #[must_use]
    pub fn latest_times(&self, seen: EventKind) -> Option<Spread> {
        self.times(seen).spread()
    }

    fn times(&self, seen: EventKind) -> &LatestTimes {
        if seen == EventKind::Join { &self.join_times } else { &self.other_times }
    }

    /// Returns the time of this process' last delivery.
    #[must_use]
    pub fn last_received_at(&self) -> Option<DateTime<Utc>> {
        self.last_received.get()
    }

    /// Returns the time of this process' last delivery of the Test button.
    #[must_use]
    pub fn last_test_at(&self) -> Option<DateTime<Utc>> {
        self.last_test.get()
    }

    fn source(&self, name: Option<&SourceName>) -> &Source {
        name.and_then(|name| self.sources.get(name)).unwrap_or(&self.unknown)
    }
}

/// Latest of several times, in microseconds of Unix time; 0 before the first one.
#[derive(Debug, Default)]
pub(super) struct Latest(AtomicI64);

impl Latest {
    pub(super) fn record(&self, at: DateTime<Utc>) {
        self.0.fetch_max(at.timestamp_micros(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<DateTime<Utc>> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }
}
