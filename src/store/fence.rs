//! Erasures, as those must know of them who read a copy of the database: what is erased must not be
//! shown by a standby that has not replayed that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnection;

use super::StoreError;

/// Counts what was erased by this process, or was seen to be by another. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ErasureFence(Arc<AtomicU64>);

impl ErasureFence {
    /// The number of the latest erasure that is known.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Counts one more. Called after its commit and before anybody is told.
    pub fn raise(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The end of the journal, and whether anything was erased before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalEnd {
    /// Number of the last entry.
    pub seq: i64,
    /// One of the entries since the number that was asked for tells of an erasure.
    pub has_erasures: bool,
}

/// Reads the end of the journal. It counts in the order of the commits, so no erasure is passed over,
/// whoever's clock it was made by.
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
