//! Writes documents for what the journal tells of, in its order.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::search::Document;

/// Entries of the journal in one transaction: each is a batch of the drain's, so a thousand
/// messages or 8 MiB at the most.
const MOST_ENTRIES: i64 = 4;

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// So many messages have a document now. 0: there was nothing left to do, or all that the
    /// journal tells of is gone.
    Messages(usize),
    /// There was no entry left.
    Nothing,
    /// Another service is at it.
    Elsewhere,
}

/// How far search is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexStanding {
    /// Entries of the journal that are still to be indexed.
    pub entries: i64,
    /// When the oldest of them came; `None` where there is none.
    pub waiting_since: Option<DateTime<Utc>>,
}

/// A message that is to be indexed.
struct Said {
    session_id: Uuid,
    occurred_at: DateTime<Utc>,
    id: Uuid,
    agent_id: String,
    source: String,
    role: String,
    message: String,
}

/// Indexes the next entries of the journal: all of them and the position along with it, or nothing
/// and an error.
pub async fn index_next(connection: &mut PgConnection) -> Result<Indexed, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let position = sqlx::query_scalar!("SELECT seq FROM search_position FOR UPDATE SKIP LOCKED")
        .fetch_optional(&mut *transaction)
        .await?;
    let Some(position) = position else {
        return Ok(Indexed::Elsewhere);
    };
    let entries = sqlx::query!(
        "SELECT seq, message_session_ids, message_times, message_ids
        FROM journal
        WHERE seq > $1
        ORDER BY seq
        LIMIT $2",
        position,
        MOST_ENTRIES
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some(last) = entries.last().map(|entry| entry.seq) else {
        return Ok(Indexed::Nothing);
    };
    let (mut sessions, mut times, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        sessions.extend(entry.message_session_ids);
        times.extend(entry.message_times);
        ids.extend(entry.message_ids);
    }
    let said = read(&mut transaction, &sessions, &times, &ids).await?;
    let newest = said.iter().map(|said| said.occurred_at).max();
    let indexed = write(&mut transaction, said, last).await?;
    sqlx::query!(
        "UPDATE search_position SET seq = $1, newest_at = GREATEST(newest_at, $2)",
        last,
        newest
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Indexed::Messages(indexed))
}

/// How far search is behind.
pub async fn standing(connection: &mut PgConnection) -> Result<IndexStanding, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        SELECT
            head.seq - position.seq AS "entries!",
            (
                SELECT received_at
                FROM journal
                WHERE journal.seq > position.seq
                ORDER BY journal.seq
                LIMIT 1
            ) AS waiting_since
        FROM journal_head AS head, search_position AS position
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok(IndexStanding { entries: row.entries.max(0), waiting_since: row.waiting_since })
}

/// What was said; a message that is gone by now is left out.
async fn read(
    connection: &mut PgConnection,
    sessions: &[Uuid],
    times: &[DateTime<Utc>],
    ids: &[Uuid],
) -> Result<Vec<Said>, sqlx::Error> {
    sqlx::query_as!(
        Said,
        r#"
        SELECT
            m.session_id,
            m.occurred_at,
            m.id,
            s.agent_id,
            s.source,
            m.role,
            m.message
        FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[])
            AS key (session_id, occurred_at, id)
        CROSS JOIN LATERAL (
            SELECT *
            FROM messages
            WHERE messages.session_id = key.session_id
                AND messages.occurred_at = key.occurred_at
                AND messages.id = key.id
        ) AS m
        JOIN sessions AS s ON s.id = key.session_id
        ORDER BY m.session_id, m.occurred_at, m.id
        "#,
        sessions,
        times,
        ids
    )
    .fetch_all(connection)
    .await
}

/// Writes the documents, and the words with the entry of the journal up to which this is.
async fn write(
    connection: &mut PgConnection,
    said: Vec<Said>,
    seq: i64,
) -> Result<usize, sqlx::Error> {
    // Tens of milliseconds of work, which other tasks need not wait for.
    let made = tokio::task::spawn_blocking(|| {
        let document = |said: &Said| Document::of(&said.message, &said.agent_id, said.occurred_at);
        let documents: Vec<_> = said.iter().map(document).collect();
        (said, documents)
    });
    let (said, documents) = made.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
    let new = insert(connection, &said, &documents).await?;
    let mut words: BTreeMap<&str, i64> = BTreeMap::new();
    for (said, document) in said.iter().zip(&documents) {
        if new.contains(&(said.session_id, said.occurred_at, said.id)) {
            for word in &document.words {
                *words.entry(word).or_default() += 1;
            }
        }
    }
    let (words, counts): (Vec<String>, Vec<i64>) =
        words.into_iter().map(|(word, count)| (word.to_owned(), count)).unzip();
    sqlx::query!(
        "INSERT INTO search_words (word, documents, first_seq)
        SELECT word, documents, $3 FROM unnest($1::text[], $2::bigint[]) AS said (word, documents)
        ON CONFLICT (word) DO UPDATE SET
            documents = search_words.documents + excluded.documents",
        &words,
        &counts,
        seq
    )
    .execute(connection)
    .await?;
    Ok(new.len())
}

/// Inserts documents, and says which were new.
async fn insert(
    connection: &mut PgConnection,
    said: &[Said],
    documents: &[Document],
) -> Result<HashSet<(Uuid, DateTime<Utc>, Uuid)>, sqlx::Error> {
    fn column<T>(said: &[Said], of: impl Fn(&Said) -> T) -> Vec<T> {
        said.iter().map(of).collect()
    }
    let vectors: Vec<String> = documents.iter().map(|document| document.vector.clone()).collect();
    let rows = sqlx::query!(
        "INSERT INTO search_documents (
            session_id, occurred_at, id, agent_id, source, role, terms
        )
        SELECT session_id, occurred_at, id, agent_id, source, role, terms::tsvector
        FROM unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::text[],
            $7::text[]
        ) AS said (session_id, occurred_at, id, agent_id, source, role, terms)
        ON CONFLICT (session_id, occurred_at, id) DO NOTHING
        RETURNING session_id, occurred_at, id",
        &column(said, |said| said.session_id),
        &column(said, |said| said.occurred_at),
        &column(said, |said| said.id),
        &column(said, |said| said.agent_id.clone()),
        &column(said, |said| said.source.clone()),
        &column(said, |said| said.role.clone()),
        &vectors
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.session_id, row.occurred_at, row.id)).collect())
}
