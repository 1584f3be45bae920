//! Progress of the indexer, and of a rebuild after a change of the index version.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;

use crate::search::INDEX_VERSION;

/// Backlog of the search index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexBacklog {
    /// Journal entries that are not indexed yet.
    pub entries: i64,
    /// Arrival of the oldest of them; `None` without any.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Progress of a rebuild; `None` if all documents have the current version.
    pub rebuild: Option<Rebuild>,
}

/// Progress of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Rebuilt journal entries.
    pub done: i64,
    /// All journal entries to rebuild.
    pub of: i64,
}

/// Locked row of `search_progress`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) seq: i64,
    pub(super) version: i32,
    pub(super) stale_to: i64,
}

/// Waits for the lock on documents and words, and holds it until the end of the transaction: a
/// batch read before a removal cannot restore what was removed.
pub(super) async fn hold_index(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT seq FROM search_progress FOR UPDATE").fetch_one(connection).await?;
    Ok(())
}

/// Locks the index, unless another service holds it. Marks all documents as stale if an older
/// program wrote some.
pub(super) async fn take_index(
    connection: &mut PgConnection,
) -> Result<Option<Progress>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT seq, version, made_to, stale_to FROM search_progress FOR UPDATE SKIP LOCKED"
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let progress = Progress { seq: row.seq, version: row.version, stale_to: row.stale_to };
    let others_went_on = row.version == INDEX_VERSION && row.made_to != row.seq;
    if row.version >= INDEX_VERSION && !others_went_on {
        return Ok(Some(progress));
    }
    sqlx::query!(
        "UPDATE search_progress
        SET version = $1, made_to = seq, stale_to = seq, stale_from = seq",
        INDEX_VERSION
    )
    .execute(connection)
    .await?;
    Ok(Some(Progress { version: INDEX_VERSION, stale_to: row.seq, ..progress }))
}

/// Returns the backlog of the search index.
pub async fn standing(connection: &mut PgConnection) -> Result<IndexBacklog, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        SELECT
            head.seq - progress.seq AS "entries!",
            stale_to,
            stale_from,
            (
                SELECT received_at
                FROM journal
                WHERE journal.seq > progress.seq
                ORDER BY journal.seq
                LIMIT 1
            ) AS waiting_since
        FROM journal_head AS head, search_progress AS progress
        "#
    )
    .fetch_one(connection)
    .await?;
    let (done, of) = (row.stale_from - row.stale_to, row.stale_from);
    Ok(IndexBacklog {
        entries: row.entries.max(0),
        waiting_since: row.waiting_since,
        rebuild: (row.stale_to > 0).then_some(Rebuild { done, of }),
    })
}
