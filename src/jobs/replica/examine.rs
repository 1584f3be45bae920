//! Read-only examination of a standby for `verbatim doctor`.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;

use super::status::ReplicaState;
use crate::postgres::{Connector, primary_position, standby_position};

/// Result of examining a standby.
#[derive(Clone, Debug)]
pub struct StandbyExamination {
    /// State; `Used` if it can be read.
    pub state: ReplicaState,
    /// Bytes of the primary's log that it has not replayed.
    pub lag_bytes: i64,
    /// Commit time of the last transaction that it replayed.
    pub last_commit_at: Option<DateTime<Utc>>,
    /// Replay was paused manually.
    pub is_paused: bool,
    /// It reports to the primary which rows its queries need (`hot_standby_feedback`).
    pub has_feedback: bool,
    /// Tables that the role may not read.
    pub unreadable_tables: i64,
}

/// Examines primary and standby once.
pub async fn examine(
    primary: &Connector,
    standby: &Connector,
) -> anyhow::Result<StandbyExamination> {
    let mut connection = primary.connect().await?;
    let ours = primary_position(&mut connection).await?;
    let _ = connection.close().await;
    let mut connection = standby.connect().await?;
    let theirs = standby_position(&mut connection).await?;
    let (is_paused, has_feedback, unreadable_tables): (bool, bool, i64) = sqlx::query_as(
        "SELECT
             CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
             current_setting('hot_standby_feedback') = 'on',
             (
                 SELECT count(*)
                 FROM pg_class
                 WHERE relkind IN ('r', 'p')
                     AND relnamespace = to_regnamespace('public')
                     AND NOT has_table_privilege(oid, 'SELECT')
             )",
    )
    .fetch_one(&mut connection)
    .await?;
    let _ = connection.close().await;
    let state = match ours {
        _ if !theirs.in_recovery => ReplicaState::Promoted,
        Some(ours) if ours.system != theirs.system => ReplicaState::OtherCluster,
        Some(ours) if ours.timeline != theirs.timeline => ReplicaState::OtherTimeline,
        Some(_) => ReplicaState::Used,
        None => ReplicaState::Unchecked,
    };
    let lag_bytes = ours.map_or(0, |ours| (ours.flushed.0 - theirs.replayed.0).max(0));
    let last_commit_at = theirs.last_commit_at;
    Ok(StandbyExamination {
        state,
        lag_bytes,
        last_commit_at,
        is_paused,
        has_feedback,
        unreadable_tables,
    })
}
