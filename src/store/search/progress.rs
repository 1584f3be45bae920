//! How far the indexer has come, and which documents are of another generation than ours.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;

use crate::search::INDEX_VERSION;

/// How far search is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStanding {
    /// Entries of the journal that are still to be indexed.
    pub entries: i64,
    /// When the oldest of them came; `None` where there is none.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Documents that are made anew; `None` where all are as they should be.
    pub rebuild: Option<Rebuild>,
}

/// How far a rebuild of the index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Entries of the journal whose documents are as they should be.
    pub done: i64,
    /// All that were to be done.
    pub of: i64,
}

/// The row of `search_progress`, locked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) seq: i64,
    pub(super) version: i32,
    pub(super) stale_to: i64,
}

/// Waits for the right to change documents and words, which is then held until the end of the
/// transaction: what is removed cannot come back with a batch that was read before.
pub(super) async fn hold_index(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT seq FROM search_progress FOR UPDATE").fetch_one(connection).await?;
    Ok(())
}

/// Takes the right to change the index, unless another service has it. Where an older program has
/// made documents, all that there are become stale.
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

/// Returns how far search is behind.
pub async fn standing(connection: &mut PgConnection) -> Result<IndexStanding, sqlx::Error> {
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
    Ok(IndexStanding {
        entries: row.entries.max(0),
        waiting_since: row.waiting_since,
        rebuild: (row.stale_to > 0).then_some(Rebuild { done, of }),
    })
}
