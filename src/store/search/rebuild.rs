//! Rebuilds documents after a change of the index version, from the newest entry of the journal to
//! the first, while indexing continues. Unchanged documents are not written.

use std::collections::HashSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::forget::remove;
use super::index::{Entry, Indexed, entry, within_bytes};
use super::progress::take_index;
use super::write::{Columns, NewDocument, build_documents, in_chunks, insert, read};
use crate::search::INDEX_VERSION;
use crate::store::journal::MessageKey;

/// Most journal entries in one transaction: a rebuild leaves room for new messages.
const MAX_ENTRIES: i64 = 4;

/// Rebuilds the documents of the next entries. Returns the number of messages whose documents
/// changed, or [`Indexed::Nothing`] if no entry is left.
pub async fn rebuild_next(connection: &mut PgConnection) -> Result<Indexed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let Some(progress) = take_index(&mut transaction).await? else {
        return Ok(Indexed::Elsewhere);
    };
    // An older program must not change documents of a newer version.
    if progress.stale_to == 0 || progress.version > INDEX_VERSION {
        transaction.commit().await?;
        return Ok(Indexed::Nothing);
    }
    let rows = sqlx::query!(
        "SELECT seq, message_session_ids, message_times, message_ids
        FROM journal
        WHERE seq <= $1
        ORDER BY seq DESC
        LIMIT $2",
        progress.stale_to,
        MAX_ENTRIES
    )
    .fetch_all(&mut *transaction)
    .await?;
    let entries: Vec<Entry> = rows.into_iter().map(|row| entry!(row)).collect();
    let keys: Vec<MessageKey> = entries.iter().flat_map(|entry| &entry.keys).copied().collect();
    let messages = read(&mut transaction, &keys).await?;
    let existing: HashSet<MessageKey> = messages.iter().map(|message| message.key).collect();
    let gone: Vec<MessageKey> = keys.into_iter().filter(|key| !existing.contains(key)).collect();
    remove(&mut transaction, &gone).await?;
    let last = entries.last().map(|entry| entry.seq);
    let (messages, last) = match within_bytes(messages, &entries) {
        Ok((messages, last)) => (messages, Some(last)),
        Err(messages) => (messages, last),
    };
    let newest = messages.iter().map(|message| message.key.occurred_at).max();
    let mut rebuilt = 0;
    for chunk in in_chunks(messages) {
        let (chunk, documents) = build_documents(chunk).await?;
        let changed: HashSet<MessageKey> = differing(&mut transaction, &documents).await?;
        remove(&mut transaction, &changed.iter().copied().collect::<Vec<_>>()).await?;
        let documents =
            documents.into_iter().filter(|document| changed.contains(&document.key)).collect();
        rebuilt += insert(&mut transaction, &chunk, documents).await?;
    }
    let stale_to = last.map_or(0, |last| last - 1);
    sqlx::query!(
        "UPDATE search_progress SET stale_to = $1, newest_at = GREATEST(newest_at, $2)",
        stale_to,
        newest
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Indexed::Messages(rebuilt))
}

/// Finds the messages whose documents are missing or different.
async fn differing(
    connection: &mut PgConnection,
    documents: &[NewDocument],
) -> Result<HashSet<MessageKey>, sqlx::Error> {
    let Columns { sessions, times, ids } =
        Columns::of(documents.iter().map(|document| document.key));
    let (numbers, counts): (Vec<i32>, Vec<i32>) =
        documents.iter().map(|document| (document.part, document.parts)).unzip();
    let vectors: Vec<String> = documents.iter().map(|document| document.vector.clone()).collect();
    let rows = sqlx::query_as!(
        MessageKey,
        r#"
        SELECT DISTINCT
            made.session_id AS "session_id!",
            made.occurred_at AS "occurred_at!",
            made.id AS "id!"
        FROM unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::int[], $5::int[], $6::text[]
        ) AS made (session_id, occurred_at, id, part, parts, terms)
        LEFT JOIN LATERAL (
            SELECT parts, terms
            FROM search_parts
            WHERE search_parts.session_id = made.session_id
                AND search_parts.occurred_at = made.occurred_at
                AND search_parts.id = made.id
                AND search_parts.part = made.part
        ) AS held ON true
        WHERE held.parts IS DISTINCT FROM made.parts
            OR held.terms IS DISTINCT FROM made.terms::tsvector
        "#,
        &sessions,
        &times,
        &ids,
        &numbers,
        &counts,
        &vectors
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().collect())
}
