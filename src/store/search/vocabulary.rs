//! Estimates before a search: the number of documents with its words, and the words that contain a
//! part of a word. A search in some agents' messages reads only their rows, so its result does not
//! depend on other agents.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query_scalar;

use super::filter::SearchFilter;
use crate::search::{INDEX_VERSION, Query};
use crate::store::StoreError;
use crate::store::page::AFTER_ALL;
use crate::store::read_pool::PooledConnection;

/// Most words that a search includes for parts of words, split evenly among the parts, in
/// alphabetical order. Each is a lookup in the index of each month.
const MAX_WIDER_WORDS: i64 = 1_000;
/// Most rows of the vocabulary, one per word and agent, read for a part of a word.
const MAX_ROWS: i64 = 20_000;
/// Most agents of a word whose documents are added up. With this many, there are many documents.
const MANY_AGENTS: i64 = 200;
/// Assumed number of documents of a word if they are not added up.
const MANY_DOCUMENTS: i64 = 1 << 40;
/// Longest expected distance of a message into the future. Later times are from wrong clocks.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Estimates for a search.
pub(super) struct Estimates {
    /// Most documents that can match.
    pub(super) at_most: i64,
    /// Time of the latest message that can match.
    pub(super) latest: DateTime<Utc>,
    /// The same time without wrong clocks: the search begins here.
    pub(super) newest: DateTime<Utc>,
}

/// Returns the estimates, or `None` without any message; and whether some documents are missing or
/// have another version than the query.
pub(super) async fn estimate(
    pooled: &mut PooledConnection<'_>,
    query: &Query,
    filter: &SearchFilter,
    now: DateTime<Utc>,
) -> Result<(Option<Estimates>, bool), StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT
            CASE
                WHEN $1::text[] IS NULL THEN newest_at
                ELSE (SELECT max(last_activity_at) FROM agents WHERE agent_id = ANY ($1))
            END AS newest_at,
            stale_to > 0 OR (version < $2 AND seq > 0) AS "stale!"
        FROM search_progress
        "#,
        filter.agents.as_deref(),
        INDEX_VERSION
    )
    .fetch_one(pooled.connection()?)
    .await?;
    let Some(newest) = row.newest_at else { return Ok((None, row.stale)) };
    // A message with a time in the future can be later than the agent's last activity.
    let latest = if filter.agents.is_none() { newest } else { AFTER_ALL };
    // A session has few messages, and they are found by its ID.
    let at_most =
        if filter.sessions.is_some() { 0 } else { at_most(pooled, query, filter).await? };
    let newest = newest.min(now + AHEAD);
    Ok((Some(Estimates { at_most, latest, newest }), row.stale))
}

/// Returns the number of documents of the rarest required word.
async fn at_most(
    pooled: &mut PooledConnection<'_>,
    query: &Query,
    filter: &SearchFilter,
) -> Result<i64, StoreError> {
    let (places, words) = query.required();
    let at_most = match &filter.agents {
        None => {
            query_scalar!(
                r#"
                SELECT min(place.documents)
                FROM (
                    SELECT sum(said.documents)::bigint AS documents
                    FROM unnest($1::int[], $2::text[]) AS required (place, word)
                    CROSS JOIN LATERAL (
                        SELECT
                            CASE
                                WHEN count(*) >= $3 THEN $4::bigint
                                ELSE COALESCE(sum(counted.documents), 0)::bigint
                            END AS documents
                        FROM (
                            SELECT documents
                            FROM search_vocabulary
                            WHERE search_vocabulary.word = required.word
                            LIMIT $3
                        ) AS counted
                    ) AS said
                    GROUP BY required.place
                ) AS place
                "#,
                &places,
                &words,
                MANY_AGENTS,
                MANY_DOCUMENTS
            )
            .fetch_one(pooled.connection()?)
            .await?
        }
        Some(agents) => {
            query_scalar!(
                r#"
                SELECT min(place.documents)
                FROM (
                    SELECT COALESCE(sum(said.documents), 0)::bigint AS documents
                    FROM unnest($1::int[], $2::text[]) AS required (place, word)
                    CROSS JOIN unnest($3::text[]) AS agent (agent_id)
                    LEFT JOIN LATERAL (
                        SELECT documents
                        FROM search_vocabulary
                        WHERE search_vocabulary.word = required.word
                            AND search_vocabulary.agent_id = agent.agent_id
                    ) AS said ON true
                    GROUP BY required.place
                ) AS place
                "#,
                &places,
                &words,
                agents
            )
            .fetch_one(pooled.connection()?)
            .await?
        }
    };
    Ok(at_most.unwrap_or(i64::MAX))
}

/// Query that also matches words that contain its words.
pub(super) struct Widened {
    pub(super) query: Query,
    /// Some word was found.
    pub(super) found: bool,
    /// More words contain a part than are included.
    pub(super) cut: bool,
}

/// Widens a query by the words that contain its words.
pub(super) async fn widen(
    pooled: &mut PooledConnection<'_>,
    query: &Query,
    filter: &SearchFilter,
) -> Result<Widened, StoreError> {
    let parts = query.partial();
    let most = MAX_WIDER_WORDS / i64::try_from(parts.len().max(1)).unwrap_or(MAX_WIDER_WORDS);
    let rows = sqlx::query!(
        r#"
        SELECT part AS "part!", holder.word AS "word!", holder.cut AS "cut!"
        FROM unnest($1::text[]) AS part
        CROSS JOIN LATERAL (
            SELECT word, sum(count(*)) OVER () >= $4 AS cut
            FROM (
                SELECT word
                FROM search_vocabulary
                WHERE word LIKE '%' || part || '%'
                    AND word <> part
                    AND char_length(word) >= 3
                    AND ($2::text[] IS NULL OR agent_id = ANY ($2))
                LIMIT $4
            ) AS said
            GROUP BY word
            ORDER BY word
            LIMIT $3::bigint + 1
        ) AS holder
        "#,
        &parts,
        filter.agents.as_deref(),
        most,
        MAX_ROWS
    )
    .fetch_all(pooled.connection()?)
    .await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut cut = false;
    let mut wider_words: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let words = wider_words.entry(row.part).or_default();
        cut |= row.cut || words.len() == most;
        if words.len() < most {
            words.push(row.word);
        }
    }
    Ok(Widened { query: query.widened(&wider_words), found: !wider_words.is_empty(), cut })
}
