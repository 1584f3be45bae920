//! The way in: answers, refusals, how long they took, and when the last delivery came.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Histogram};

use super::{Register, UNKNOWN_SOURCE, family};
use crate::domain::SourceName;

/// Statuses that have a series of their own; the last label is for any other.
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

/// What the webhook counts.
#[derive(Debug)]
pub struct WebhookMetrics {
    sources: HashMap<SourceName, Source>,
    unknown: Source,
    join: Histogram,
    other: Histogram,
    last_received: Latest,
    last_test: Latest,
}

/// What was seen of a delivery while it was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// A `room.join`, for whose answer the avatar waits.
    Join,
    /// The dashboard's Test button.
    Test,
    /// Anything else, and what could not be read.
    #[default]
    Other,
}

#[derive(Debug)]
struct Source {
    answers: [Counter; STATUSES.len() + 1],
    refusals: HashMap<&'static str, Counter>,
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
        }
    }
}

/// The checks that may refuse a delivery, as they are called in a label.
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
            last_received: Latest::default(),
            last_test: Latest::default(),
        }
    }

    /// A delivery was answered, whatever the answer.
    pub fn answered(&self, source: Option<&SourceName>, seen: Seen, status: u16, took: Duration) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        self.source(source).answers[known.unwrap_or(STATUSES.len())].increment(1);
        let histogram = if seen == Seen::Join { &self.join } else { &self.other };
        histogram.record(took);
    }

    /// A delivery's credentials were refused by one of [`CHECKS`].
    pub fn refused(&self, source: &SourceName, check: &'static str) {
        if let Some(counter) = self.source(Some(source)).refusals.get(check) {
            counter.increment(1);
        }
    }

    /// A delivery is durable.
    pub fn kept(&self, seen: Seen, received_at: DateTime<Utc>) {
        self.last_received.note(received_at);
        if seen == Seen::Test {
            self.last_test.note(received_at);
        }
    }

    /// When this process last took a delivery.
    #[must_use]
    pub fn last_received_at(&self) -> Option<DateTime<Utc>> {
        self.last_received.get()
    }

    /// When this process last took one of the dashboard's Test button.
    #[must_use]
    pub fn last_test_at(&self) -> Option<DateTime<Utc>> {
        self.last_test.get()
    }

    fn source(&self, name: Option<&SourceName>) -> &Source {
        name.and_then(|name| self.sources.get(name)).unwrap_or(&self.unknown)
    }
}

/// The latest of several moments, in microseconds of Unix time; 0 before the first one.
#[derive(Debug, Default)]
pub(super) struct Latest(AtomicI64);

impl Latest {
    pub(super) fn note(&self, at: DateTime<Utc>) {
        self.0.fetch_max(at.timestamp_micros(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<DateTime<Utc>> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            micros => DateTime::from_timestamp_micros(micros),
        }
    }
}
