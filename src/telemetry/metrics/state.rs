//! What is looked at when somebody asks, rather than counted as it happens.

use chrono::{DateTime, Utc};
use metrics::Gauge;

use super::process::{ProcessMetrics, lossy, seconds};
use super::reads::{ReplicaGauges, ReplicaLag};
use super::{Register, family};
use crate::clock::Clock;

/// How the service is, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// The inbox takes deliveries.
    pub inbox_writable: bool,
    /// Deliveries that are not yet in Postgres.
    pub inbox_deliveries: usize,
    /// The room that they take, in bytes.
    pub inbox_bytes: u64,
    /// The room that they may take, in bytes.
    pub inbox_quota_bytes: u64,
    /// Seconds since the oldest of them arrived.
    pub inbox_oldest_age_seconds: Option<f64>,
    /// Postgres answers.
    pub postgres_up: bool,
    /// The schema is what this version needs.
    pub schema_current: bool,
    /// Transactions whose messages search does not find yet.
    pub search_lag_entries: Option<i64>,
    /// Transactions that a rebuild of the search index has yet to reach.
    pub search_rebuild_entries: Option<i64>,
    /// Seconds since the oldest of them came.
    pub search_lag_seconds: Option<f64>,
    /// Transactions that figures do not reflect yet.
    pub figures_lag_entries: Option<i64>,
    /// Seconds since the arrival of the oldest of them.
    pub figures_lag_seconds: Option<f64>,
    /// Connections that the API reads through.
    pub connections: Connections,
    /// How the standby is.
    pub replica: ReplicaLag,
    /// When the last delivery was taken.
    pub last_received_at: Option<DateTime<Utc>>,
    /// When the last one of the Test button was.
    pub last_test_at: Option<DateTime<Utc>>,
}

/// Connections to Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// In use.
    pub busy: usize,
    /// Open, and waiting to be used.
    pub idle: usize,
    /// The most that may be in use.
    pub limit: usize,
}

/// The gauges for it.
#[derive(Debug)]
pub struct StateMetrics {
    writable: Gauge,
    depth: Gauge,
    bytes: Gauge,
    quota: Gauge,
    oldest: Gauge,
    postgres: Gauge,
    schema: Gauge,
    search_entries: Gauge,
    search_rebuild: Gauge,
    search_lag: Gauge,
    figures_entries: Gauge,
    figures_lag: Gauge,
    busy: Gauge,
    idle: Gauge,
    limit: Gauge,
    last_received: Gauge,
    last_test: Gauge,
    replica: ReplicaGauges,
    process: ProcessMetrics,
}

impl StateMetrics {
    pub(super) fn new(register: &Register, clock: &Clock) -> Self {
        let gauge = |family| register.gauge(family, &[]);
        let connections = |state| register.gauge(family::CONNECTIONS, &[("state", state)]);
        let last = |kind| register.gauge(family::LAST_DELIVERY, &[("kind", kind)]);
        Self {
            writable: gauge(family::INBOX_WRITABLE),
            depth: gauge(family::INBOX_DEPTH),
            bytes: gauge(family::INBOX_BYTES),
            quota: gauge(family::INBOX_QUOTA),
            oldest: gauge(family::INBOX_OLDEST),
            postgres: gauge(family::POSTGRES_UP),
            schema: gauge(family::SCHEMA_CURRENT),
            search_entries: gauge(family::SEARCH_LAG_ENTRIES),
            search_rebuild: gauge(family::SEARCH_REBUILD),
            search_lag: gauge(family::SEARCH_LAG),
            figures_entries: gauge(family::FIGURES_LAG_ENTRIES),
            figures_lag: gauge(family::FIGURES_LAG),
            busy: connections("busy"),
            idle: connections("idle"),
            limit: gauge(family::CONNECTIONS_LIMIT),
            last_received: last("any"),
            last_test: last("test"),
            replica: ReplicaGauges::new(register),
            process: ProcessMetrics::new(register, clock),
        }
    }

    /// Takes a look at the service and at the process.
    pub fn show(&self, state: &State) {
        let size = |of: usize| lossy(i64::try_from(of).unwrap_or(i64::MAX));
        let bytes = |of: u64| lossy(i64::try_from(of).unwrap_or(i64::MAX));
        self.writable.set(f64::from(state.inbox_writable));
        self.depth.set(size(state.inbox_deliveries));
        self.bytes.set(bytes(state.inbox_bytes));
        self.quota.set(bytes(state.inbox_quota_bytes));
        self.oldest.set(state.inbox_oldest_age_seconds.unwrap_or(0.0));
        self.postgres.set(f64::from(state.postgres_up));
        self.schema.set(f64::from(state.schema_current));
        self.search_entries.set(state.search_lag_entries.map_or(0.0, lossy));
        self.search_rebuild.set(state.search_rebuild_entries.map_or(0.0, lossy));
        self.search_lag.set(state.search_lag_seconds.unwrap_or(0.0));
        self.figures_entries.set(state.figures_lag_entries.map_or(0.0, lossy));
        self.figures_lag.set(state.figures_lag_seconds.unwrap_or(0.0));
        self.busy.set(size(state.connections.busy));
        self.idle.set(size(state.connections.idle));
        self.limit.set(size(state.connections.limit));
        self.last_received.set(state.last_received_at.map_or(0.0, seconds));
        self.last_test.set(state.last_test_at.map_or(0.0, seconds));
        self.replica.show(&state.replica);
        self.process.look();
    }
}
