//! Writes documents for new entries of the journal, in its order.

use std::collections::HashMap;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::progress::take_index;
use super::write::{PendingMessage, read, write};
use crate::search::INDEX_VERSION;
use crate::store::journal::{MAX_BATCH_ENTRIES, MessageKey, batch_length};

/// Bytes of messages after which a transaction ends early, so that it takes seconds.
const MAX_BYTES: usize = 8 << 20;

/// Result of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Number of messages that have documents now; 0 if they had them already, or were deleted.
    Messages(usize),
    /// No entry was left.
    Nothing,
    /// Another service holds the index.
    Elsewhere,
}

/// Messages of a journal entry.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) keys: Vec<MessageKey>,
}

/// Converts a row into an entry.
macro_rules! entry {
    ($row:expr) => {{
        let row = $row;
        let keys = row.message_session_ids.into_iter().zip(row.message_times).zip(row.message_ids);
        let key = |((session_id, occurred_at), id)| MessageKey { session_id, occurred_at, id };
        Entry { seq: row.seq, keys: keys.map(key).collect() }
    }};
}
pub(super) use entry;

/// Indexes the next entries of the journal and advances the position, atomically.
pub async fn index_next(connection: &mut PgConnection) -> Result<Indexed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let Some(progress) = take_index(&mut transaction).await? else {
        return Ok(Indexed::Elsewhere);
    };
    let mut rows = sqlx::query!(
        "SELECT seq, message_session_ids, message_times, message_ids
        FROM journal
        WHERE seq > $1
        ORDER BY seq
        LIMIT $2",
        progress.seq,
        MAX_BATCH_ENTRIES
    )
    .fetch_all(&mut *transaction)
    .await?;
    rows.truncate(batch_length(rows.iter().map(|row| row.message_ids.len())));
    let entries: Vec<Entry> = rows.into_iter().map(|row| entry!(row)).collect();
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        transaction.commit().await?;
        return Ok(Indexed::Nothing);
    };
    let keys: Vec<MessageKey> = entries.iter().flat_map(|entry| &entry.keys).copied().collect();
    let messages = read(&mut transaction, &keys).await?;
    let (messages, last) =
        within_bytes(messages, &entries).unwrap_or_else(|messages| (messages, last));
    let newest = messages.iter().map(|message| message.key.occurred_at).max();
    let indexed = write(&mut transaction, messages).await?;
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

/// Keeps the messages up to the entry that fills a transaction, and returns them with its number;
/// `Err` has all messages if none does.
pub(super) fn within_bytes(
    messages: Vec<PendingMessage>,
    entries: &[Entry],
) -> Result<(Vec<PendingMessage>, i64), Vec<PendingMessage>> {
    let all: usize = messages.iter().map(|message| message.text.len()).sum();
    if all <= MAX_BYTES {
        return Err(messages);
    }
    let by_key: HashMap<MessageKey, usize> = (0..)
        .zip(entries)
        .flat_map(|(at, entry)| entry.keys.iter().map(move |key| (*key, at)))
        .collect();
    let at = |message: &PendingMessage| by_key.get(&message.key).copied().unwrap_or_default();
    let mut bytes = vec![0; entries.len()];
    for message in &messages {
        bytes[at(message)] += message.text.len();
    }
    let mut sum = 0;
    let full = bytes.iter().position(|bytes| {
        sum += bytes;
        sum > MAX_BYTES
    });
    match full.filter(|full| *full + 1 < entries.len()) {
        Some(full) => {
            let last = entries[full].seq;
            Ok((messages.into_iter().filter(|message| at(message) <= full).collect(), last))
        }
        None => Err(messages),
    }
}
