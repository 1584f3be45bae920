//! Counts erasures for readers of a standby: it must not show erased data that it has not deleted
//! yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnection;

use super::error::StoreError;

/// Counter of erasures, by this process or observed from others. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ErasureFence(Arc<AtomicU64>);

impl ErasureFence {
    /// Returns the number of the latest known erasure.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts an erasure. Called after its commit and before its response.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// End of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEnd {
    /// Number of the last entry.
    pub seq: i64,
    /// An entry after the given number is an erasure.
    pub has_erasures: bool,
}

/// Reads the end of the journal, whose numbers are in the order of commits, so no erasure is
/// missed, whatever the clock of its service.
pub async fn journal_end(
    connection: &mut PgConnection,
    since: i64,
) -> Result<JournalEnd, StoreError> {
    let end = sqlx::query_as!(
        JournalEnd,
        r#"SELECT
             head.seq,
             EXISTS (
                 SELECT
                 FROM journal
                 WHERE seq > $1 AND seq <= head.seq AND erasure IS NOT NULL
             ) AS "has_erasures!"
         FROM journal_head AS head"#,
        since,
    )
    .fetch_one(connection)
    .await?;
    Ok(end)
}
