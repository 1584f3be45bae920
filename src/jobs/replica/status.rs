//! Status of the standby, for readers and for health.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::postgres::Lsn;
use crate::store::Store;

/// State of the standby.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaState {
    /// It has not been measured yet.
    #[default]
    Unchecked,
    /// It answers, but has not yet replayed all that the primary had at the time of connecting.
    CatchingUp,
    /// It serves reads.
    Used,
    /// Its lag is greater than the limit.
    Lagging,
    /// It does not answer.
    Unreachable,
    /// It accepts writes, so it is no longer a standby.
    Promoted,
    /// It belongs to another cluster.
    OtherCluster,
    /// Its timeline differs from the primary's.
    OtherTimeline,
}

impl ReplicaState {
    /// Name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::CatchingUp => "catching_up",
            Self::Used => "used",
            Self::Lagging => "lagging",
            Self::Unreachable => "unreachable",
            Self::Promoted => "promoted",
            Self::OtherCluster => "other_cluster",
            Self::OtherTimeline => "other_timeline",
        }
    }

    /// Returns a hint for the log and the doctor; `None` if no action is needed.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Unchecked | Self::CatchingUp | Self::Used => None,
            Self::Lagging => Some(
                "check on the standby if replay is paused (pg_is_wal_replay_paused), delayed \
                 (recovery_min_apply_delay) or waiting for a query, and if it still receives \
                 (pg_stat_wal_receiver)",
            ),
            Self::Unreachable => Some("check that the standby runs and that its URL is right"),
            Self::Promoted => Some(
                "if it is the primary now, set DATABASE_URL to it; create a new standby with \
                 pg_basebackup, and set VERBATIM_READ_DATABASE_URL to that",
            ),
            Self::OtherCluster => Some(
                "VERBATIM_READ_DATABASE_URL must name a streaming standby of the server in \
                 DATABASE_URL",
            ),
            Self::OtherTimeline => Some(
                "if this persists, the standby follows a promoted server: recreate it from the \
                 server in DATABASE_URL, with pg_basebackup or pg_rewind",
            ),
        }
    }
}

/// Last measured status of the standby.
#[derive(Clone, Debug, Default)]
pub struct ReplicaStatus {
    /// State.
    pub state: ReplicaState,
    /// Start of the state; `None` before the first measurement.
    pub since: Option<DateTime<Utc>>,
    /// Lag behind the primary, in seconds; `None` if unknown.
    pub lag_seconds: Option<f64>,
    /// Bytes of the log that it has not replayed; `None` if unknown.
    pub lag_bytes: Option<i64>,
    /// Standby to read from, if it can be read.
    pub(super) readable: Option<Readable>,
}

/// Standby that can be read.
#[derive(Clone, Debug)]
pub struct Readable {
    /// Store on its connections.
    pub store: Store,
    /// Run of its server; another standby, or the same after a restart, has a different run.
    pub run: u64,
    /// System identifier of its cluster.
    pub system: i64,
    /// Position up to which it has replayed, or more.
    pub replayed: Lsn,
    /// Time up to which it contains all commits of the primary.
    pub complete_at: DateTime<Utc>,
    /// The same time by a monotonic clock.
    pub(super) complete: Instant,
    /// Latest erasure that it has replayed.
    pub(super) erased: u64,
}

impl Readable {
    /// Returns `true` if its current lag and its erasures allow reads. The lag is computed now, so
    /// that the limit holds even if measuring has stopped.
    pub(super) fn may_be_read(&self, max_lag: Duration, latest_erasure: u64) -> bool {
        self.complete.elapsed() <= max_lag && self.erased >= latest_erasure
    }
}
