//! Reads messages that are to be indexed, and writes their documents and words.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::search::Document;
use crate::store::journal::MessageKey;

/// Bytes of messages whose documents are in memory at once: these are several times as large.
const BYTES_AT_ONCE: usize = 1 << 20;

/// A message that is to be indexed.
pub(super) struct Said {
    pub(super) key: MessageKey,
    pub(super) agent_id: String,
    source: String,
    role: String,
    pub(super) message: String,
}

/// A document that is to be written.
pub(super) struct Made {
    pub(super) key: MessageKey,
    pub(super) part: i32,
    pub(super) parts: i32,
    /// Which of the messages it is of.
    pub(super) said: usize,
    pub(super) vector: String,
    pub(super) words: Vec<String>,
}

/// Reads what was said; a message that is gone by now is left out.
pub(super) async fn read(
    connection: &mut PgConnection,
    keys: &[MessageKey],
) -> Result<Vec<Said>, sqlx::Error> {
    let Columns { sessions, times, ids } = Columns::of(keys.iter().copied());
    let rows = sqlx::query!(
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
        &sessions,
        &times,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let said = rows.into_iter().map(|row| Said {
        key: MessageKey { session_id: row.session_id, occurred_at: row.occurred_at, id: row.id },
        agent_id: row.agent_id,
        source: row.source,
        role: row.role,
        message: row.message,
    });
    Ok(said.collect())
}

/// Writes the documents of messages, and counts their words. Returns how many messages had none
/// before.
pub(super) async fn write(
    connection: &mut PgConnection,
    said: Vec<Said>,
) -> Result<usize, sqlx::Error> {
    let mut written = 0;
    for said in in_chunks(said) {
        let (said, made) = make(said).await?;
        written += insert(connection, &said, made).await?;
    }
    Ok(written)
}

/// Cuts messages into groups that have no more bytes than are made at once, or one message.
pub(super) fn in_chunks(said: Vec<Said>) -> Vec<Vec<Said>> {
    let mut chunks: Vec<Vec<Said>> = Vec::new();
    let mut bytes = 0;
    for said in said {
        bytes += said.message.len();
        match chunks.last_mut() {
            Some(chunk) if bytes <= BYTES_AT_ONCE => chunk.push(said),
            _ => {
                bytes = said.message.len();
                chunks.push(vec![said]);
            }
        }
    }
    chunks
}

/// Makes the documents of messages: tens of milliseconds of work, which other tasks need not wait
/// for.
pub(super) async fn make(said: Vec<Said>) -> Result<(Vec<Said>, Vec<Made>), sqlx::Error> {
    let made = tokio::task::spawn_blocking(|| {
        let mut made = Vec::with_capacity(said.len());
        for (index, said) in said.iter().enumerate() {
            let documents = Document::of(&said.message, &said.agent_id, said.key.occurred_at);
            let parts = i32::try_from(documents.len()).unwrap_or(i32::MAX);
            made.extend((0..).zip(documents).map(|(part, Document { vector, words })| Made {
                key: said.key,
                part,
                parts,
                said: index,
                vector,
                words,
            }));
        }
        (said, made)
    });
    made.await.map_err(|_| sqlx::Error::WorkerCrashed)
}

/// Inserts documents that are not there, and counts their words. Returns of how many messages.
pub(super) async fn insert(
    connection: &mut PgConnection,
    said: &[Said],
    made: Vec<Made>,
) -> Result<usize, sqlx::Error> {
    let Columns { sessions, times, ids } = Columns::of(made.iter().map(|made| made.key));
    let (numbers, counts): (Vec<i32>, Vec<i32>) =
        made.iter().map(|made| (made.part, made.parts)).unzip();
    let text = |of: fn(&Said) -> &String| -> Vec<String> {
        made.iter().map(|made| of(&said[made.said]).clone()).collect()
    };
    let agents = text(|said| &said.agent_id);
    let (sources, roles) = (text(|said| &said.source), text(|said| &said.role));
    let (vectors, words): (Vec<String>, Vec<_>) = made
        .into_iter()
        .map(|made| (made.vector, (made.key, made.part, made.said, made.words)))
        .unzip();
    let rows = sqlx::query!(
        "INSERT INTO search_parts (
            session_id, occurred_at, id, part, parts, agent_id, source, role, terms
        )
        SELECT session_id, occurred_at, id, part, parts, agent_id, source, role, terms::tsvector
        FROM unnest(
            $1::uuid[], $2::timestamptz[], $3::uuid[], $4::int[], $5::int[], $6::text[],
            $7::text[], $8::text[], $9::text[]
        ) AS made (session_id, occurred_at, id, part, parts, agent_id, source, role, terms)
        ON CONFLICT (session_id, occurred_at, id, part) DO NOTHING
        RETURNING session_id, occurred_at, id, part",
        &sessions,
        &times,
        &ids,
        &numbers,
        &counts,
        &agents,
        &sources,
        &roles,
        &vectors
    )
    .fetch_all(&mut *connection)
    .await?;
    let new: HashSet<(Uuid, DateTime<Utc>, Uuid, i32)> =
        rows.into_iter().map(|row| (row.session_id, row.occurred_at, row.id, row.part)).collect();
    let new_words = words
        .iter()
        .filter(|(key, part, ..)| new.contains(&(key.session_id, key.occurred_at, key.id, *part)));
    let mut counted: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (_, _, index, words) in new_words {
        for word in words {
            *counted.entry((word, &said[*index].agent_id)).or_default() += 1;
        }
    }
    count(connection, counted).await?;
    Ok(new.iter().filter(|(.., part)| *part == 0).count())
}

/// Counts words up.
async fn count(
    connection: &mut PgConnection,
    counted: BTreeMap<(&str, &str), i64>,
) -> Result<(), sqlx::Error> {
    let (words, counts): (Vec<_>, Vec<i64>) = counted.into_iter().unzip();
    let (words, agents): (Vec<String>, Vec<String>) =
        words.into_iter().map(|(word, agent)| (word.to_owned(), agent.to_owned())).unzip();
    sqlx::query!(
        "INSERT INTO search_vocabulary (word, agent_id, documents)
        SELECT word, agent_id, documents
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS said (word, agent_id, documents)
        ON CONFLICT (word, agent_id) DO UPDATE SET
            documents = search_vocabulary.documents + excluded.documents",
        &words,
        &agents,
        &counts
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keys, as Postgres takes them: side by side.
pub(super) struct Columns {
    pub(super) sessions: Vec<Uuid>,
    pub(super) times: Vec<DateTime<Utc>>,
    pub(super) ids: Vec<Uuid>,
}

impl Columns {
    pub(super) fn of(keys: impl Iterator<Item = MessageKey>) -> Self {
        let mut columns = Self { sessions: Vec::new(), times: Vec::new(), ids: Vec::new() };
        for key in keys {
            columns.sessions.push(key.session_id);
            columns.times.push(key.occurred_at);
            columns.ids.push(key.id);
        }
        columns
    }
}
