//! Removes documents from the index, and words that no other document of their agent has.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::progress::hold_index;
use super::write::Columns;
use crate::store::journal::MessageKey;

/// Number of removed documents with a word.
struct Lost {
    word: String,
    agent_id: String,
    documents: i64,
}

/// Removes the documents of sessions, and returns their number. Must run in the transaction that
/// deletes their messages: the indexer writes no document of them after its commit.
pub async fn forget_sessions(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<u64, sqlx::Error> {
    hold_index(connection).await?;
    let lost = sqlx::query_as!(
        Lost,
        r#"
        SELECT word AS "word!", agent_id, count(*) AS "documents!"
        FROM search_parts
        CROSS JOIN unnest(tsvector_to_array(terms)) AS word
        WHERE session_id = ANY ($1)
        GROUP BY word, agent_id
        ORDER BY word, agent_id
        "#,
        session_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let removed = sqlx::query!("DELETE FROM search_parts WHERE session_id = ANY ($1)", session_ids)
        .execute(&mut *connection)
        .await?;
    uncount(connection, lost).await?;
    Ok(removed.rows_affected())
}

/// Removes the documents of messages, in the transaction that deletes the messages.
pub async fn forget_messages(
    connection: &mut PgConnection,
    messages: &[MessageKey],
) -> Result<u64, sqlx::Error> {
    hold_index(connection).await?;
    remove(connection, messages).await
}

/// Removes the documents of messages. The caller holds the lock on the index.
pub(super) async fn remove(
    connection: &mut PgConnection,
    messages: &[MessageKey],
) -> Result<u64, sqlx::Error> {
    if messages.is_empty() {
        return Ok(0);
    }
    let Columns { sessions, times, ids } = Columns::of(messages.iter().copied());
    let lost = sqlx::query_as!(
        Lost,
        r#"
        SELECT word AS "word!", agent_id, count(*) AS "documents!"
        FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[])
            AS key (session_id, occurred_at, id)
        JOIN search_parts USING (session_id, occurred_at, id)
        CROSS JOIN unnest(tsvector_to_array(terms)) AS word
        GROUP BY word, agent_id
        ORDER BY word, agent_id
        "#,
        &sessions,
        &times,
        &ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let removed = sqlx::query!(
        "DELETE FROM search_parts AS document
        USING unnest($1::uuid[], $2::timestamptz[], $3::uuid[])
            AS key (session_id, occurred_at, id)
        WHERE document.session_id = key.session_id
            AND document.occurred_at = key.occurred_at
            AND document.id = key.id",
        &sessions,
        &times,
        &ids
    )
    .execute(&mut *connection)
    .await?;
    uncount(connection, lost).await?;
    Ok(removed.rows_affected())
}

/// Subtracts from the counts of words, and deletes words without a document. The marks among `lost`
/// are not in the vocabulary, and match nothing.
async fn uncount(connection: &mut PgConnection, lost: Vec<Lost>) -> Result<(), sqlx::Error> {
    let (mut words, mut agents, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for lost in lost {
        words.push(lost.word);
        agents.push(lost.agent_id);
        counts.push(lost.documents);
    }
    sqlx::query!(
        "UPDATE search_vocabulary AS known
        SET documents = known.documents - lost.documents
        FROM unnest($1::text[], $2::text[], $3::bigint[]) AS lost (word, agent_id, documents)
        WHERE known.word = lost.word AND known.agent_id = lost.agent_id",
        &words,
        &agents,
        &counts
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM search_vocabulary AS known
        USING unnest($1::text[], $2::text[]) AS lost (word, agent_id)
        WHERE known.word = lost.word AND known.agent_id = lost.agent_id AND known.documents <= 0",
        &words,
        &agents
    )
    .execute(connection)
    .await?;
    Ok(())
}
