//! Writes documents for what the journal brings, in its order.

use std::collections::HashMap;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::progress::take_index;
use super::write::{Said, read, write};
use crate::search::INDEX_VERSION;
use crate::store::journal::MessageKey;

/// Entries of the journal in one transaction: each is a batch of the drain's, so a thousand
/// messages or 8 MiB at the most.
pub(super) const MOST_ENTRIES: i64 = 4;
/// Bytes of messages in one transaction, beyond which it takes fewer entries: so it takes seconds.
const MOST_BYTES: usize = 8 << 20;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// So many messages have documents now. 0: there was nothing left to do, or all that the
    /// journal names is gone.
    Messages(usize),
    /// There was no entry left.
    Nothing,
    /// Another service is at it.
    Elsewhere,
}

/// An entry of the journal: the messages that it brought.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) keys: Vec<MessageKey>,
}

/// Reads the columns of an entry.
macro_rules! entry {
    ($row:expr) => {{
        let row = $row;
        let keys = row.message_session_ids.into_iter().zip(row.message_times).zip(row.message_ids);
        let key = |((session_id, occurred_at), id)| MessageKey { session_id, occurred_at, id };
        Entry { seq: row.seq, keys: keys.map(key).collect() }
    }};
}
pub(super) use entry;

/// Indexes the next entries of the journal: all of them and the position along with it, or nothing
/// and an error.
pub async fn index_next(connection: &mut PgConnection) -> Result<Indexed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let Some(progress) = take_index(&mut transaction).await? else {
        return Ok(Indexed::Elsewhere);
    };
    let rows = sqlx::query!(
        "SELECT seq, message_session_ids, message_times, message_ids
        FROM journal
        WHERE seq > $1
        ORDER BY seq
        LIMIT $2",
        progress.seq,
        MOST_ENTRIES
    )
    .fetch_all(&mut *transaction)
    .await?;
    let entries: Vec<Entry> = rows.into_iter().map(|row| entry!(row)).collect();
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        transaction.commit().await?;
        return Ok(Indexed::Nothing);
    };
    let keys: Vec<MessageKey> = entries.iter().flat_map(|entry| &entry.keys).copied().collect();
    let said = read(&mut transaction, &keys).await?;
    let (said, last) = within_bytes(said, &entries).unwrap_or_else(|said| (said, last));
    let newest = said.iter().map(|said| said.key.occurred_at).max();
    let indexed = write(&mut transaction, said).await?;
    sqlx::query!(
        "UPDATE search_progress
        SET seq = $1,
            newest_at = GREATEST(newest_at, $2),
            made_to = CASE WHEN version = $3 THEN $1 ELSE made_to END",
        last,
        newest,
        INDEX_VERSION
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Indexed::Messages(indexed))
}

/// Leaves out the messages of all entries behind the one that fills a transaction, and returns the
/// number of that one; all messages where none does.
pub(super) fn within_bytes(
    said: Vec<Said>,
    entries: &[Entry],
) -> Result<(Vec<Said>, i64), Vec<Said>> {
    let all: usize = said.iter().map(|said| said.message.len()).sum();
    if all <= MOST_BYTES {
        return Err(said);
    }
    let by_key: HashMap<MessageKey, usize> = (0..)
        .zip(entries)
        .flat_map(|(at, entry)| entry.keys.iter().map(move |key| (*key, at)))
        .collect();
    let at = |said: &Said| by_key.get(&said.key).copied().unwrap_or_default();
    let mut bytes = vec![0; entries.len()];
    for said in &said {
        bytes[at(said)] += said.message.len();
    }
    let mut sum = 0;
    let full = bytes.iter().position(|bytes| {
        sum += bytes;
        sum > MOST_BYTES
    });
    match full.filter(|full| *full + 1 < entries.len()) {
        Some(full) => {
            let last = entries[full].seq;
            Ok((said.into_iter().filter(|said| at(said) <= full).collect(), last))
        }
        None => Err(said),
    }
}
