//! Makes documents anew after what they are made of has changed: from the newest entry of the
//! journal back to the first, beside the indexing of what comes. A document that would be the same
//! is left as it is.

use std::collections::HashSet;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::forget::remove;
use super::index::{Entry, Indexed, MOST_ENTRIES, entry, within_bytes};
use super::progress::{hold_index, take_index};
use super::write::{Columns, Made, in_chunks, insert, make, read};
use crate::search::INDEX_VERSION;
use crate::store::journal::MessageKey;

/// Makes the documents of the next entries anew. How many messages got others than they had is
/// said; [`Indexed::Nothing`] is that none is left to look at.
pub async fn rebuild_next(connection: &mut PgConnection) -> Result<Indexed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let Some(progress) = take_index(&mut transaction).await? else {
        return Ok(Indexed::Elsewhere);
    };
    // Those of a later generation are not for this program to change.
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
        MOST_ENTRIES
    )
    .fetch_all(&mut *transaction)
    .await?;
    let entries: Vec<Entry> = rows.into_iter().map(|row| entry!(row)).collect();
    let keys: Vec<MessageKey> = entries.iter().flat_map(|entry| &entry.keys).copied().collect();
    let said = read(&mut transaction, &keys).await?;
    let there: HashSet<MessageKey> = said.iter().map(|said| said.key).collect();
    let gone: Vec<MessageKey> = keys.into_iter().filter(|key| !there.contains(key)).collect();
    remove(&mut transaction, &gone).await?;
    let last = entries.last().map(|entry| entry.seq);
    let (said, last) = match within_bytes(said, &entries) {
        Ok((said, last)) => (said, Some(last)),
        Err(said) => (said, last),
    };
    let newest = said.iter().map(|said| said.key.occurred_at).max();
    let mut made_anew = 0;
    for said in in_chunks(said) {
        let (said, made) = make(said).await?;
        let other: HashSet<MessageKey> = differing(&mut transaction, &made).await?;
        remove(&mut transaction, &other.iter().copied().collect::<Vec<_>>()).await?;
        let made = made.into_iter().filter(|made| other.contains(&made.key)).collect();
        made_anew += insert(&mut transaction, &said, made).await?;
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
    Ok(Indexed::Messages(made_anew))
}

/// Finds the messages whose documents are missing or others.
async fn differing(
    connection: &mut PgConnection,
    made: &[Made],
) -> Result<HashSet<MessageKey>, sqlx::Error> {
    let Columns { sessions, times, ids } = Columns::of(made.iter().map(|made| made.key));
    let (numbers, counts): (Vec<i32>, Vec<i32>) =
        made.iter().map(|made| (made.part, made.parts)).unzip();
    let vectors: Vec<String> = made.iter().map(|made| made.vector.clone()).collect();
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

/// Empties the tables that the version before searched, and has that version begin again should it
/// come back: what was said must not stay where nobody removes it.
pub async fn empty_previous_index(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let holds = sqlx::query_scalar!(
        r#"SELECT
            EXISTS (SELECT FROM search_words) OR EXISTS (SELECT FROM search_documents) AS "holds!""#
    )
    .fetch_one(&mut *connection)
    .await?;
    if !holds {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    hold_index(&mut transaction).await?;
    sqlx::raw_sql(
        "SET LOCAL lock_timeout = '2s';
        UPDATE search_position SET seq = 0, newest_at = NULL;
        TRUNCATE search_documents, search_words",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
