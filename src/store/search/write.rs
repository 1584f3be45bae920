//! Reads the messages to index, and writes their documents and words.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::search::Document;
use crate::store::journal::MessageKey;

/// Most bytes of messages whose documents are in memory at once; documents are several times
/// larger.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Message to index.
pub(super) struct PendingMessage {
    pub(super) key: MessageKey,
    pub(super) agent_id: String,
    source: String,
    role: String,
    pub(super) text: String,
}

/// Document to write.
pub(super) struct NewDocument {
    pub(super) key: MessageKey,
    pub(super) part: i32,
    pub(super) parts: i32,
    /// Index of its message.
    pub(super) message: usize,
    pub(super) vector: String,
    pub(super) words: Vec<String>,
}

/// Reads messages. Deleted ones are skipped.
pub(super) async fn read(
    connection: &mut PgConnection,
    keys: &[MessageKey],
) -> Result<Vec<PendingMessage>, sqlx::Error> {
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
    let messages = rows.into_iter().map(|row| PendingMessage {
        key: MessageKey { session_id: row.session_id, occurred_at: row.occurred_at, id: row.id },
        agent_id: row.agent_id,
        source: row.source,
        role: row.role,
        text: row.message,
    });
    Ok(messages.collect())
}

/// Writes the documents of messages and counts their words. Returns how many messages had no
/// document before.
pub(super) async fn write(
    connection: &mut PgConnection,
    messages: Vec<PendingMessage>,
) -> Result<usize, sqlx::Error> {
    let mut written = 0;
    for chunk in in_chunks(messages) {
        let (chunk, documents) = build_documents(chunk).await?;
        written += insert(connection, &chunk, documents).await?;
    }
    Ok(written)
}

/// Splits messages into groups of at most [`BYTES_AT_ONCE`], or one message.
pub(super) fn in_chunks(messages: Vec<PendingMessage>) -> Vec<Vec<PendingMessage>> {
    let mut chunks: Vec<Vec<PendingMessage>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        bytes += message.text.len();
        match chunks.last_mut() {
            Some(chunk) if bytes <= BYTES_AT_ONCE => chunk.push(message),
            _ => {
                bytes = message.text.len();
                chunks.push(vec![message]);
            }
        }
    }
    chunks
}

/// Builds the documents of messages, on a blocking thread: it takes tens of milliseconds.
pub(super) async fn build_documents(
    messages: Vec<PendingMessage>,
) -> Result<(Vec<PendingMessage>, Vec<NewDocument>), sqlx::Error> {
    let built = tokio::task::spawn_blocking(|| {
        let mut new = Vec::with_capacity(messages.len());
        for (index, message) in messages.iter().enumerate() {
            let documents = Document::of(&message.text, &message.agent_id, message.key.occurred_at);
            let parts = i32::try_from(documents.len()).unwrap_or(i32::MAX);
            new.extend((0..).zip(documents).map(|(part, Document { vector, words })| {
                NewDocument { key: message.key, part, parts, message: index, vector, words }
            }));
        }
        (messages, new)
    });
    built.await.map_err(|_| sqlx::Error::WorkerCrashed)
}

/// Inserts missing documents, counts their words, and returns the number of new messages.
pub(super) async fn insert(
    connection: &mut PgConnection,
    messages: &[PendingMessage],
    documents: Vec<NewDocument>,
) -> Result<usize, sqlx::Error> {
    let Columns { sessions, times, ids } =
        Columns::of(documents.iter().map(|document| document.key));
    let (numbers, counts): (Vec<i32>, Vec<i32>) =
        documents.iter().map(|document| (document.part, document.parts)).unzip();
    let text = |of: fn(&PendingMessage) -> &String| -> Vec<String> {
        documents.iter().map(|document| of(&messages[document.message]).clone()).collect()
    };
    let agents = text(|message| &message.agent_id);
    let (sources, roles) = (text(|message| &message.source), text(|message| &message.role));
    let (vectors, words): (Vec<String>, Vec<_>) = documents
        .into_iter()
        .map(|document| {
            (document.vector, (document.key, document.part, document.message, document.words))
        })
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
            *counted.entry((word, &messages[*index].agent_id)).or_default() += 1;
        }
    }
    count(connection, counted).await?;
    Ok(new.iter().filter(|(.., part)| *part == 0).count())
}

/// Adds to the counts of words.
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

/// Keys as columns.
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
