//! What is to be known before words are looked for: how many documents hold them, and which words
//! hold a part of a word. Where only some agents' messages are searched, theirs alone are asked: so
//! nothing of an answer depends on what others say.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query_scalar;

use super::find::SearchFilter;
use crate::search::{INDEX_VERSION, Query};
use crate::store::StoreError;
use crate::store::lanes::Lane;
use crate::store::page::AFTER_ALL;

/// Most words of the vocabulary that are looked for beside parts of words, of each part the same
/// number: the first by the alphabet. Each is a look into the index of each month.
const MOST_HOLDERS: i64 = 1_000;
/// Most rows of the vocabulary, one a word and agent, that are read for a part of a word.
const MOST_ROWS: i64 = 20_000;
/// A word that so many agents say is one that many documents hold; they are not added up.
const MANY_AGENTS: i64 = 200;
/// Documents of a word that were not added up.
const MANY_DOCUMENTS: i64 = 1 << 40;
/// Messages are hardly from later than this; clocks that are wrong say otherwise.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// What is known before the words are looked for.
pub(super) struct Outlook {
    /// No more documents than this match.
    pub(super) at_most: i64,
    /// The time of the latest message that can be found.
    pub(super) latest: DateTime<Utc>,
    /// The same, unless a clock was wrong: where to begin.
    pub(super) newest: DateTime<Utc>,
}

/// Returns what is known, where there is a message to be found; and whether some documents are
/// missing, or of another generation than the query.
pub(super) async fn outlook(
    lane: &mut Lane<'_>,
    query: &Query,
    filter: &SearchFilter,
    now: DateTime<Utc>,
) -> Result<(Option<Outlook>, bool), StoreError> {
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
    .fetch_one(lane.connection())
    .await?;
    let Some(newest) = row.newest_at else { return Ok((None, row.stale)) };
    // An agent's last activity may be earlier than a message that is dated ahead.
    let latest = if filter.agents.is_none() { newest } else { AFTER_ALL };
    // A session's messages are few, and found by its id.
    let at_most = if filter.sessions.is_some() { 0 } else { at_most(lane, query, filter).await? };
    let newest = newest.min(now + AHEAD);
    Ok((Some(Outlook { at_most, latest, newest }), row.stale))
}

/// Returns in how many documents the rarest of the words is that every match holds.
async fn at_most(
    lane: &mut Lane<'_>,
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
            .fetch_one(lane.connection())
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
            .fetch_one(lane.connection())
            .await?
        }
    };
    Ok(at_most.unwrap_or(i64::MAX))
}

/// A query that takes words that hold a word for it, too.
pub(super) struct Widened {
    pub(super) query: Query,
    /// Some word holds one.
    pub(super) found: bool,
    /// More words hold a part than are looked for.
    pub(super) cut: bool,
}

/// Widens a query by the words that hold its words.
pub(super) async fn widen(
    lane: &mut Lane<'_>,
    query: &Query,
    filter: &SearchFilter,
) -> Result<Widened, StoreError> {
    let parts = query.partial();
    let most = MOST_HOLDERS / i64::try_from(parts.len().max(1)).unwrap_or(MOST_HOLDERS);
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
        MOST_ROWS
    )
    .fetch_all(lane.connection())
    .await?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut cut = false;
    let mut holders: HashMap<String, Vec<String>> = HashMap::new();
    for row in rows {
        let words = holders.entry(row.part).or_default();
        cut |= row.cut || words.len() == most;
        if words.len() < most {
            words.push(row.word);
        }
    }
    Ok(Widened { query: query.widened(&holders), found: !holders.is_empty(), cut })
}
