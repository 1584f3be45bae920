//! JSON shapes of `/healthz` and `/readyz`.

use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::timestamp::Timestamp;
use crate::jobs::replica::{Replica, ReplicaState};

/// Readiness of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Readiness {
    /// Everything works.
    Ready,
    /// Deliveries are accepted, but the inbox or Postgres fails.
    Degraded,
    /// The schema is being created for the first time: nothing can be read yet.
    Starting,
    /// Neither the inbox nor Postgres can store a delivery.
    Unavailable,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    pub(crate) status: Readiness,
    pub(crate) inbox: InboxState,
    pub(crate) postgres: PostgresState,
    pub(crate) deliveries: LastDeliveries,
    /// Null before the first measurement.
    pub(crate) search: Option<SearchState>,
    /// Null before the first batch.
    pub(crate) figures: Option<FiguresState>,
    /// Null without a standby.
    pub(crate) replica: Option<Standby>,
}

/// The standby that answers are read from. While it is not used, they are read from the primary.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct Standby {
    /// Answers are read from it.
    #[schema(example = true)]
    pub(crate) used: bool,
    /// `used`, `catching_up`, `lagging`, `unreachable`, `promoted` (it accepts writes),
    /// `other_timeline`, `other_cluster`, or `unchecked` before it was measured.
    #[schema(example = "used")]
    pub(crate) state: &'static str,
    /// Start of the state; null before it was measured.
    pub(crate) since: Option<Timestamp>,
    /// Lag behind the primary in seconds; null if unknown.
    #[schema(example = 0)]
    pub(crate) lag_seconds: Option<f64>,
    /// Bytes of the log that it has not replayed; null if unknown.
    #[schema(example = 0)]
    pub(crate) lag_bytes: Option<i64>,
}

impl Standby {
    pub(crate) fn of(replica: &Replica) -> Self {
        let standing = replica.standing();
        Self {
            used: standing.state == ReplicaState::Used,
            state: standing.state.as_str(),
            since: standing.since.map(Timestamp),
            lag_seconds: standing.lag_seconds,
            lag_bytes: standing.lag_bytes,
        }
    }
}

/// Lag of the figures, which is reduced in the background.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct FiguresState {
    /// Transactions of the drain that are not reflected yet.
    #[schema(example = 0)]
    pub(crate) lag_entries: i64,
    /// Seconds since the arrival of the oldest of them; 0 without any.
    #[schema(example = 0)]
    pub(crate) lag_seconds: f64,
}

/// Lag of the search index, which is reduced in the background.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct SearchState {
    /// Transactions of the drain whose messages cannot be found yet.
    #[schema(example = 0)]
    pub(crate) lag_entries: i64,
    /// Seconds since the oldest of them came; 0 where there is none.
    #[schema(example = 0)]
    pub(crate) lag_seconds: f64,
    /// Progress of a rebuild of the index, newest messages first; null without one.
    pub(crate) rebuild: Option<RebuildState>,
}

/// Progress of a rebuild of the index: search finds the completed part.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct RebuildState {
    /// Transactions of the drain whose messages are done.
    #[schema(example = 0)]
    pub(crate) done_entries: i64,
    /// All of them.
    #[schema(example = 4211)]
    pub(crate) of_entries: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct InboxState {
    /// True if it accepts deliveries.
    #[schema(example = true)]
    pub(crate) writable: bool,
    /// Deliveries that are not yet in Postgres.
    pub(crate) deliveries: usize,
    /// Bytes of these.
    pub(crate) bytes: u64,
    /// Seconds since the oldest of these arrived; null without any.
    #[schema(example = json!(null))]
    pub(crate) oldest_age_seconds: Option<f64>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PostgresState {
    #[schema(example = true)]
    pub(crate) reachable: bool,
    /// True if it accepts deliveries: the last write did not fail, and it is not read-only.
    #[schema(example = true)]
    pub(crate) writable: bool,
    /// Start of this state; null before the first answer.
    pub(crate) since: Option<Timestamp>,
    /// State of the schema.
    #[schema(example = "current")]
    pub(crate) schema: &'static str,
    /// Time of the last commit of deliveries.
    pub(crate) last_commit_at: Option<Timestamp>,
}

/// Latest deliveries of this process; null before the first one.
#[derive(Serialize, ToSchema)]
pub(crate) struct LastDeliveries {
    pub(crate) last_received_at: Option<Timestamp>,
    /// Time of the latest test by the sender's dashboard.
    #[schema(example = json!(null))]
    pub(crate) last_test_at: Option<Timestamp>,
}

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    pub(crate) status: &'static str,
}
