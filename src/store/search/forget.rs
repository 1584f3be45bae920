//! Takes documents out of the index, and with them the words that nobody else said.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::hold_index;
use crate::store::journal::MessageKey;

/// How many documents of those that are gone held a word.
struct Lost {
    word: String,
    documents: i64,
}

/// Removes the documents of sessions. It belongs into the transaction that removes their messages:
/// no document of them is written once that has committed. Says how many there were.
pub async fn forget_sessions(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<u64, sqlx::Error> {
    hold_index(connection).await?;
    let lost = sqlx::query_as!(
        Lost,
        r#"
        SELECT word AS "word!", count(*) AS "documents!"
        FROM search_documents
        CROSS JOIN unnest(tsvector_to_array(terms)) AS word
        WHERE session_id = ANY ($1)
        GROUP BY word
        ORDER BY word
        "#,
        session_ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let removed =
        sqlx::query!("DELETE FROM search_documents WHERE session_id = ANY ($1)", session_ids)
            .execute(&mut *connection)
            .await?;
    uncount(connection, lost).await?;
    Ok(removed.rows_affected())
}

/// The same for single messages.
pub async fn forget_messages(
    connection: &mut PgConnection,
    messages: &[MessageKey],
) -> Result<u64, sqlx::Error> {
    hold_index(connection).await?;
    let sessions: Vec<_> = messages.iter().map(|key| key.session_id).collect();
    let times: Vec<_> = messages.iter().map(|key| key.occurred_at).collect();
    let ids: Vec<_> = messages.iter().map(|key| key.id).collect();
    let lost = sqlx::query_as!(
        Lost,
        r#"
        SELECT word AS "word!", count(*) AS "documents!"
        FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[])
            AS key (session_id, occurred_at, id)
        JOIN search_documents USING (session_id, occurred_at, id)
        CROSS JOIN unnest(tsvector_to_array(terms)) AS word
        GROUP BY word
        ORDER BY word
        "#,
        &sessions,
        &times,
        &ids
    )
    .fetch_all(&mut *connection)
    .await?;
    let removed = sqlx::query!(
        "DELETE FROM search_documents AS document
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

/// Counts words down; one that no document holds any more is removed. The marks among them are no
/// words, and match none.
async fn uncount(connection: &mut PgConnection, lost: Vec<Lost>) -> Result<(), sqlx::Error> {
    let (words, counts): (Vec<String>, Vec<i64>) =
        lost.into_iter().map(|lost| (lost.word, lost.documents)).unzip();
    sqlx::query!(
        "UPDATE search_words
        SET documents = search_words.documents - lost.documents
        FROM unnest($1::text[], $2::bigint[]) AS lost (word, documents)
        WHERE search_words.word = lost.word",
        &words,
        &counts
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM search_words WHERE word = ANY ($1) AND documents <= 0", &words)
        .execute(connection)
        .await?;
    Ok(())
}
