//! Gauges that are read for each scrape instead of counted as events happen.

use chrono::{DateTime, Utc};
use metrics::Gauge;

use super::family;
use super::process::{ProcessMetrics, lossy, seconds};
use super::reads::{ReplicaGauges, ReplicaLag};
use super::register::Register;
use crate::clock::Clock;

/// State of the service at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// The inbox accepts deliveries.
    pub inbox_writable: bool,
    /// Deliveries that are not yet in Postgres.
    pub inbox_deliveries: usize,
    /// Their bytes in the inbox.
    pub inbox_bytes: u64,
    /// Limit of these bytes.
    pub inbox_quota_bytes: u64,
    /// Seconds since the oldest of them arrived.
    pub inbox_oldest_age_seconds: Option<f64>,
    /// Postgres answers.
    pub postgres_up: bool,
    /// The database has the schema of this version.
    pub schema_current: bool,
    /// Transactions whose messages search does not find yet.
    pub search_lag_entries: Option<i64>,
    /// Transactions that a rebuild of the search index has yet to reach.
    pub search_rebuild_entries: Option<i64>,
    /// Seconds since the oldest of them was stored.
    pub search_lag_seconds: Option<f64>,
    /// Transactions that figures do not include yet.
    pub figures_lag_entries: Option<i64>,
    /// Seconds since the arrival of the oldest of them.
    pub figures_lag_seconds: Option<f64>,
    /// Connections of the read API.
    pub connections: Connections,
    /// State of the standby.
    pub replica: ReplicaLag,
    /// Time of the last accepted delivery.
    pub last_received_at: Option<DateTime<Utc>>,
    /// Time of the last delivery of the Test button.
    pub last_test_at: Option<DateTime<Utc>>,
}

/// Connections to Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Connections in use.
    pub busy: usize,
    /// Open connections that are not in use.
    pub idle: usize,
    /// Limit of connections.
    pub limit: usize,
}

/// Gauges of the service's state.
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

    /// Updates the gauges of the service and of the process.
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
        self.replica.update(&state.replica);
        self.process.update();
    }
}
