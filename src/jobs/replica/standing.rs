//! How the standby is, for readers and for health.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::postgres::Lsn;
use crate::store::Store;

/// How the standby is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaState {
    /// It was not measured yet.
    #[default]
    Unchecked,
    /// It answers, and has not yet replayed all that the primary had when it was connected to.
    CatchingUp,
    /// Answers are read from it.
    Used,
    /// It is further behind than it may be.
    Lagging,
    /// It does not answer.
    Unreachable,
    /// It is no standby: it takes writes of its own.
    Promoted,
    /// It is of another cluster.
    OtherCluster,
    /// It follows another timeline than the primary's.
    OtherTimeline,
}

impl ReplicaState {
    /// The word for it in answers.
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

    /// What to do about it, for a log and for a doctor; `None` where it heals by itself.
    #[must_use]
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::Unchecked | Self::CatchingUp | Self::Used => None,
            Self::Lagging => Some(
                "see on the standby whether replay is paused (pg_is_wal_replay_paused), delayed \
                 (recovery_min_apply_delay) or waits for a query, and whether it still receives \
                 (pg_stat_wal_receiver)",
            ),
            Self::Unreachable => Some("see that the standby runs and that its URL is right"),
            Self::Promoted => Some(
                "if it is the primary now, name it in DATABASE_URL; make a new standby with \
                 pg_basebackup, and name that in VERBATIM_READ_DATABASE_URL",
            ),
            Self::OtherCluster => Some(
                "VERBATIM_READ_DATABASE_URL must name a streaming standby of the server in \
                 DATABASE_URL",
            ),
            Self::OtherTimeline => Some(
                "where it stays so, the standby follows a server that was promoted: make it anew from \
                 the server in DATABASE_URL, with pg_basebackup or pg_rewind",
            ),
        }
    }
}

/// How the standby was when it was last measured.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// In a word.
    pub state: ReplicaState,
    /// Since when; `None` before it was measured.
    pub since: Option<DateTime<Utc>>,
    /// Seconds that it is behind the primary; `None` where that is not known.
    pub lag_seconds: Option<f64>,
    /// Bytes of the log that it has not replayed; `None` where that is not known.
    pub lag_bytes: Option<i64>,
    /// What is read, where anything can be.
    pub(super) readable: Option<Readable>,
}

/// A standby that answers can be read from.
#[derive(Clone, Debug)]
pub struct Readable {
    /// What it holds.
    pub store: Store,
    /// The run of its server; another standby, or the same after a restart, has another one.
    pub run: u64,
    /// System identifier of its cluster.
    pub system: i64,
    /// It has replayed at least this.
    pub replayed: Lsn,
    /// It holds everything that the primary had committed by then.
    pub complete_at: DateTime<Utc>,
    /// The same by a clock that nobody sets.
    pub(super) complete: Instant,
    /// The latest erasure that it has replayed.
    pub(super) erased: u64,
}

impl Readable {
    /// The limit on the lag holds from moment to moment, also where nobody measures any more.
    pub(super) fn may_be_read(&self, max_lag: Duration, latest_erasure: u64) -> bool {
        self.complete.elapsed() <= max_lag && self.erased >= latest_erasure
    }
}
