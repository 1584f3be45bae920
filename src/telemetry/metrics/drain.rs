//! The ways to Postgres: what became of each delivery, and how far behind it was.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Histogram};

use super::inbox::count;
use super::webhook::Latest;
use super::{Register, UNKNOWN_SOURCE, family};
use crate::clock::Clock;
use crate::domain::{Arrival, Event, Outcome, SourceName};

/// The types of deliveries, as a label: those that we know, the account's events as one, any
/// other, and what nothing could be read from.
const TYPES: [&str; 7] =
    ["room.join", "chat.push", "session.end", "account", "test", "other", "unreadable"];
/// Every outcome.
const OUTCOMES: [Outcome; 5] =
    [Outcome::Stored, Outcome::Duplicate, Outcome::Test, Outcome::Unhandled, Outcome::Quarantined];

/// How deliveries go to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the inbox.
    Inbox,
    /// Straight, before the answer.
    Direct,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainFailure {
    /// Postgres, or the way to it.
    Database,
    /// No answer in time.
    Deadline,
    /// The inbox's own file cannot be read.
    InboxFile,
}

/// What is counted on the ways to Postgres.
#[derive(Debug)]
pub struct DrainMetrics {
    sources: HashMap<SourceName, Deliveries>,
    unknown: Deliveries,
    lag: Histogram,
    /// Through the inbox.
    pub inbox: DrainSeries,
    /// Straight.
    pub direct: DrainSeries,
    last_commit: Latest,
    clock: Clock,
}

/// A counter for each type and outcome.
type Deliveries = [[Counter; OUTCOMES.len()]; TYPES.len()];

/// What one of the ways counts.
#[derive(Debug)]
pub struct DrainSeries {
    batch: Histogram,
    duration: Histogram,
    database: Counter,
    deadline: Counter,
    inbox_file: Counter,
}

impl DrainMetrics {
    pub(super) fn new(register: &Register, sources: &[&SourceName], clock: Clock) -> Self {
        let series = |name: &&SourceName| ((*name).clone(), deliveries(register, name.as_str()));
        Self {
            sources: sources.iter().map(series).collect(),
            unknown: deliveries(register, UNKNOWN_SOURCE),
            lag: register.histogram(family::LAG_TO_POSTGRES, &[]),
            inbox: DrainSeries::new(register, "inbox"),
            direct: DrainSeries::new(register, "direct"),
            last_commit: Latest::default(),
            clock,
        }
    }

    /// Postgres has committed these: each with the event that was read from it, where one was, and
    /// what became of it.
    pub fn committed<'a>(
        &self,
        written: impl IntoIterator<Item = (&'a Arrival, Option<&'a Event>, Outcome)>,
    ) {
        let now = self.clock.now();
        self.last_commit.note(now);
        for (arrival, event, outcome) in written {
            // The inbox may hold what came from a source that is no longer configured.
            let series = self.sources.get(&arrival.source).unwrap_or(&self.unknown);
            series[kind(event)][place(outcome)].increment(1);
            self.lag.record((now - arrival.received_at).to_std().unwrap_or_default());
        }
    }

    /// The figures of one of the ways.
    #[must_use]
    pub fn way(&self, way: Way) -> &DrainSeries {
        match way {
            Way::Inbox => &self.inbox,
            Way::Direct => &self.direct,
        }
    }

    /// When this process last saw a commit in Postgres.
    #[must_use]
    pub fn last_commit_at(&self) -> Option<DateTime<Utc>> {
        self.last_commit.get()
    }
}

impl DrainSeries {
    fn new(register: &Register, way: &'static str) -> Self {
        let failures =
            |reason| register.counter(family::DRAIN_FAILURES, &[("way", way), ("reason", reason)]);
        Self {
            batch: register.histogram(family::BATCH, &[("way", way)]),
            duration: register.histogram(family::BATCH_DURATION, &[("way", way)]),
            database: failures("database"),
            deadline: failures("deadline"),
            inbox_file: failures("inbox_file"),
        }
    }

    /// A whole batch is in Postgres.
    pub fn wrote(&self, deliveries: usize, took: Duration) {
        self.batch.record(count(deliveries));
        self.duration.record(took);
    }

    /// An attempt failed.
    pub fn failed(&self, why: DrainFailure) {
        let counter = match why {
            DrainFailure::Database => &self.database,
            DrainFailure::Deadline => &self.deadline,
            DrainFailure::InboxFile => &self.inbox_file,
        };
        counter.increment(1);
    }
}

/// The outcomes that a type can have are there from the start, at 0: an alert on the first delivery
/// in quarantine needs a series that grows. The others are no series, and count nothing.
fn deliveries(register: &Register, source: &str) -> Deliveries {
    TYPES.map(|kind| {
        OUTCOMES.map(|outcome| {
            if !possible(kind, outcome) {
                return Counter::noop();
            }
            let labels = [("source", source), ("type", kind), ("outcome", outcome.as_str())];
            register.counter(family::DELIVERIES, &labels)
        })
    })
}

fn possible(kind: &str, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Stored => !["test", "other", "unreadable"].contains(&kind),
        Outcome::Duplicate => !["test", "unreadable"].contains(&kind),
        Outcome::Test => kind == "test",
        Outcome::Unhandled => kind == "other",
        Outcome::Quarantined => kind == "unreadable",
    }
}

/// Its place in [`TYPES`].
fn kind(event: Option<&Event>) -> usize {
    match event {
        Some(Event::Join { .. }) => 0,
        Some(Event::Message { .. }) => 1,
        Some(Event::End { .. }) => 2,
        Some(Event::Account) => 3,
        Some(Event::Test) => 4,
        Some(Event::Unknown) => 5,
        None => 6,
    }
}

/// Its place in [`OUTCOMES`].
fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Stored => 0,
        Outcome::Duplicate => 1,
        Outcome::Test => 2,
        Outcome::Unhandled => 3,
        Outcome::Quarantined => 4,
    }
}
