//! Positions in the transaction log: that of the primary, and how much a standby has replayed.
//! `docs/design/replica.md` has the reasons.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use sqlx::postgres::PgConnection;

use super::Connector;
use super::pools;

/// Position in the transaction log, in bytes from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub i64);

/// Position of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryPosition {
    /// System identifier of its cluster, which standbys share.
    pub system: i64,
    /// Timeline. Each promotion starts a new one.
    pub timeline: i32,
    /// End of the inserted log: all commits are before it.
    pub inserted: Lsn,
    /// End of the flushed log: a standby cannot have more. Records without a commit may wait long
    /// for a flush while nothing is written.
    pub flushed: Lsn,
}

/// Position of a standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbyPosition {
    /// It replays a log. `false` after a promotion.
    pub in_recovery: bool,
    /// System identifier of its cluster.
    pub system: i64,
    /// Timeline that it receives, or that of its last restart point.
    pub timeline: i32,
    /// Start of its server process.
    pub started_at: DateTime<Utc>,
    /// End of the replayed log: later reads see everything before it.
    pub replayed: Lsn,
    /// Time of the last replayed commit, by the primary's clock.
    pub last_commit_at: Option<DateTime<Utc>>,
}

impl StandbyPosition {
    /// Returns a number for this run of the standby's server. Another standby, or a restart, has
    /// another number.
    #[must_use]
    pub fn run(&self) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.system.to_be_bytes())
            .chain_update(self.started_at.timestamp_micros().to_be_bytes())
            .finalize();
        digest.iter().take(size_of::<u64>()).fold(0, |run, byte| run << 8 | u64::from(*byte))
    }
}

/// Reads the position of the primary; `None` if the server is not a primary.
pub async fn primary_position(
    connection: &mut PgConnection,
) -> Result<Option<PrimaryPosition>, sqlx::Error> {
    // The name of a log file begins with the timeline.
    let found: Option<(i64, i32, i64, i64)> = sqlx::query_as(
        "SELECT
             (SELECT system_identifier FROM pg_control_system()),
             ('x' || left(pg_walfile_name(at.inserted), 8))::bit(32)::integer,
             (at.inserted - '0/0'::pg_lsn)::bigint,
             (at.flushed - '0/0'::pg_lsn)::bigint
         FROM (
             SELECT
                 pg_current_wal_insert_lsn() AS inserted,
                 pg_current_wal_flush_lsn() AS flushed
             WHERE NOT pg_is_in_recovery()
         ) AS at",
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(system, timeline, inserted, flushed)| PrimaryPosition {
        system,
        timeline,
        inserted: Lsn(inserted),
        flushed: Lsn(flushed),
    }))
}

/// Reads the position of a standby.
pub async fn standby_position(
    connection: &mut PgConnection,
) -> Result<StandbyPosition, sqlx::Error> {
    type Row = (bool, i64, i32, DateTime<Utc>, Option<i64>, Option<DateTime<Utc>>);
    // The received timeline requires pg_read_all_stats. Every role can read the control file, which
    // follows at the next restart point.
    let (in_recovery, system, timeline, started_at, replayed, last_commit_at): Row =
        sqlx::query_as(
            "SELECT
                 pg_is_in_recovery(),
                 (SELECT system_identifier FROM pg_control_system()),
                 coalesce(
                     (SELECT received_tli FROM pg_stat_wal_receiver),
                     greatest(
                         (SELECT timeline_id FROM pg_control_checkpoint()),
                         (SELECT min_recovery_end_timeline FROM pg_control_recovery())
                     )
                 ),
                 pg_postmaster_start_time(),
                 (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint,
                 pg_last_xact_replay_timestamp()",
        )
        .fetch_one(connection)
        .await?;
    let replayed = Lsn(replayed.unwrap_or_default());
    Ok(StandbyPosition { in_recovery, system, timeline, started_at, replayed, last_commit_at })
}

/// The run of a standby that a pool's connections must belong to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StandbyRun(Arc<Run>);

#[derive(Debug)]
struct Run {
    number: u64,
    /// Replayed log at the last measurement.
    replayed: AtomicI64,
}

impl StandbyRun {
    /// Returns the run of a measured standby.
    #[must_use]
    pub fn of(position: &StandbyPosition) -> Self {
        let replayed = AtomicI64::new(position.replayed.0);
        Self(Arc::new(Run { number: position.run(), replayed }))
    }

    /// Returns its number: [`StandbyPosition::run`].
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.number
    }

    /// Records a later measurement.
    pub fn record(&self, replayed: Lsn) {
        self.0.replayed.fetch_max(replayed.0, Ordering::Relaxed);
    }

    /// Returns `true` for a standby of this run that has replayed at least as much as measured.
    fn includes(&self, position: &StandbyPosition) -> bool {
        position.in_recovery
            && position.run() == self.0.number
            && position.replayed.0 >= self.0.replayed.load(Ordering::Relaxed)
    }
}

/// The server behind a URL has changed.
#[derive(Debug, thiserror::Error)]
#[error("this is not the standby that was measured: it was restarted, promoted or replaced")]
struct AnotherServer;

/// Returns a pool of connections to one run of a standby. Connections to another server, for
/// example another standby behind the same address, are rejected.
#[must_use]
pub fn standby_pool(connector: &Connector, run: StandbyRun) -> PgPool {
    pools::build(connector, pools::STANDBY_ACQUIRE_TIMEOUT, move |connection| {
        let run = run.clone();
        Box::pin(async move {
            let position = standby_position(connection).await?;
            if run.includes(&position) {
                return Ok(());
            }
            Err(sqlx::Error::Configuration(AnotherServer.into()))
        })
    })
}
