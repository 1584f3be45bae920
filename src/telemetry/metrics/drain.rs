//! Metrics of writes to Postgres: the outcome of each delivery, and its lag.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Histogram};

use super::family;
use super::inbox::count;
use super::register::{Register, UNKNOWN_SOURCE};
use super::webhook::Latest;
use crate::clock::Clock;
use crate::domain::{Arrival, Event, Outcome, SourceName};

/// Types of deliveries, as a label: the known ones, all account events as one, any other, and
/// unreadable.
const TYPES: [&str; 7] =
    ["room.join", "chat.push", "session.end", "account", "test", "other", "unreadable"];
/// All outcomes.
const OUTCOMES: [Outcome; 5] =
    [Outcome::Stored, Outcome::Duplicate, Outcome::Test, Outcome::Unhandled, Outcome::Quarantined];

/// Path of deliveries to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritePath {
    /// Through the inbox.
    Inbox,
    /// Directly, before the answer.
    Direct,
}

/// Reason of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainFailure {
    /// Postgres, or the connection to it.
    Database,
    /// No answer in time.
    Deadline,
    /// The inbox's file cannot be read.
    InboxFile,
}

/// Metrics of writes to Postgres.
#[derive(Debug)]
pub struct DrainMetrics {
    sources: HashMap<SourceName, Deliveries>,
    unknown: Deliveries,
    lag: Histogram,
    /// Through the inbox.
    pub inbox: DrainSeries,
    /// Directly.
    pub direct: DrainSeries,
    last_commit: Latest,
    clock: Clock,
}

/// Counter for each type and outcome.
type Deliveries = [[Counter; OUTCOMES.len()]; TYPES.len()];

/// Metrics of one path.
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

    /// Counts deliveries that Postgres has committed: each with its decoded event, if there is one,
    /// and its outcome.
    pub fn committed<'a>(
        &self,
        written: impl IntoIterator<Item = (&'a Arrival, Option<&'a Event>, Outcome)>,
    ) {
        let now = self.clock.now();
        self.last_commit.record(now);
        for (arrival, event, outcome) in written {
            // The inbox may contain deliveries of a source that is no longer configured.
            let series = self.sources.get(&arrival.source).unwrap_or(&self.unknown);
            series[kind(event)][place(outcome)].increment(1);
            self.lag.record((now - arrival.received_at).to_std().unwrap_or_default());
        }
    }

    /// Returns the metrics of one path.
    #[must_use]
    pub fn way(&self, way: WritePath) -> &DrainSeries {
        match way {
            WritePath::Inbox => &self.inbox,
            WritePath::Direct => &self.direct,
        }
    }

    /// Returns the time of this process' last commit in Postgres.
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

    /// Records a written batch.
    pub fn wrote(&self, deliveries: usize, took: Duration) {
        self.batch.record(count(deliveries));
        self.duration.record(took);
    }

    /// Counts a failed attempt.
    pub fn failed(&self, why: DrainFailure) {
        let counter = match why {
            DrainFailure::Database => &self.database,
            DrainFailure::Deadline => &self.deadline,
            DrainFailure::InboxFile => &self.inbox_file,
        };
        counter.increment(1);
    }
}

/// Registers the possible outcomes of each type. They start at 0: an alert on the first delivery in
/// quarantine needs a series that grows. Impossible outcomes have no series.
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

/// Returns the index in [`TYPES`].
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

/// Returns the index in [`OUTCOMES`].
fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Stored => 0,
        Outcome::Duplicate => 1,
        Outcome::Test => 2,
        Outcome::Unhandled => 3,
        Outcome::Quarantined => 4,
    }
}
