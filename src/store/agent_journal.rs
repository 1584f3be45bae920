//! The journal by agent: the items of each entry that concern an agent. Readers that need it and a
//! job index the entries afterwards, so writers do not pay for it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::journal::{Erasure, MessageKey, Place};
use super::read_pool::PooledConnection;
use super::{Position, Store, StoreError};

/// Most entries in one transaction, reached when entries are small.
const BATCH_ENTRIES: i64 = 2_000;
/// Most bytes of IDs in the entries of one transaction, beyond the first entry: about 50 full
/// entries, a tenth of a second's work.
const BATCH_BYTES: i64 = 1 << 20;

/// Subject of a journal item.
#[derive(Clone, Debug)]
pub(super) enum Key {
    /// New or changed session.
    Session(Uuid),
    /// New message.
    Message(MessageKey),
    /// Erasure.
    Erasure(Erasure),
}

/// Items of agents after a position.
#[derive(Debug)]
pub(super) struct AgentItems {
    /// Items in order, each with the position after it.
    pub(super) keys: Vec<(Position<Place>, Key)>,
    /// More items follow.
    pub(super) more: bool,
    /// End of the indexed entries.
    pub(super) end: Position<Place>,
}

impl Store {
    /// Reports whether any active key is bound to agents.
    pub async fn has_bound_keys(&self) -> Result<bool, StoreError> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT FROM api_keys WHERE agent_ids IS NOT NULL AND revoked_at IS NULL
             ) AS "found!""#,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(found)
    }

    /// Indexes the journal by agent up to its present end, for at most `patience`; returns whether
    /// the end was reached.
    pub async fn follow_journal(&self, patience: Duration) -> Result<bool, StoreError> {
        let started = Instant::now();
        let progress = sqlx::query!(
            r#"SELECT p.seq, h.seq AS head FROM journal_agents_position AS p, journal_head AS h"#,
        )
        .fetch_one(&self.pool)
        .await?;
        let (mut reached, head) = (progress.seq, progress.head);
        if reached >= head {
            return Ok(true);
        }
        let mut connection = self.long_running_connection().await?;
        while reached < head && started.elapsed() < patience {
            reached = index_next_entries(&mut connection).await?;
        }
        let _ = connection.close().await;
        Ok(reached >= head)
    }

    /// Returns up to `limit` items of agents after a position, or from the first retained one;
    /// `None` if the position is unknown or its successors are no longer retained.
    pub(super) async fn items_of_agents(
        &self,
        agents: &[String],
        after: Option<&Position<Place>>,
        limit: usize,
    ) -> Result<Option<AgentItems>, StoreError> {
        if let Some(after) = after
            && !self.has_journal_position(after).await?
        {
            return Ok(None);
        }
        let mut pooled = self.read_pool.take().await?;
        let Some(end) = read_end(&mut pooled).await? else {
            let end = after.cloned().unwrap_or(Position::START);
            return Ok(Some(AgentItems { keys: Vec::new(), more: false, end }));
        };
        let from = after.map_or(Place::default(), |after| after.key);
        let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let rows = read_items(&mut pooled, agents, from, end.key.seq, most).await?;
        let more = rows.len() > limit;
        let keys = rows.into_iter().take(limit).map(ItemRow::into_item);
        Ok(Some(AgentItems { keys: keys.collect::<Result<_, sqlx::Error>>()?, more, end }))
    }
}

/// Row of an item. The columns that are not null depend on its subject.
struct ItemRow {
    seq: i64,
    received_at: DateTime<Utc>,
    /// Number of the item in its entry.
    item: i32,
    session_id: Option<Uuid>,
    occurred_at: Option<DateTime<Utc>>,
    message_id: Option<Uuid>,
    erasure: Option<String>,
}

impl ItemRow {
    /// Returns the item with the position after it.
    fn into_item(self) -> Result<(Position<Place>, Key), sqlx::Error> {
        let key = match (self.session_id, self.occurred_at, self.message_id, self.erasure) {
            (_, _, _, Some(erasure)) => {
                let erasure = serde_json::from_str(&erasure);
                Key::Erasure(erasure.map_err(|error| sqlx::Error::Decode(error.into()))?)
            }
            (Some(session_id), Some(occurred_at), Some(id), None) => {
                Key::Message(MessageKey { session_id, occurred_at, id })
            }
            (session_id, ..) => Key::Session(session_id.unwrap_or_default()),
        };
        Ok((position(self.seq, self.item, self.received_at), key))
    }
}

/// Reads the end of the indexed entries; `None` if no retained entry is indexed.
async fn read_end(
    pooled: &mut PooledConnection<'_>,
) -> Result<Option<Position<Place>>, sqlx::Error> {
    let end = sqlx::query!(
        r#"SELECT
                 j.seq,
                 j.received_at,
                 cardinality(j.session_ids) + cardinality(j.message_ids)
                     + (j.erasure IS NOT NULL)::integer AS "items!"
             FROM journal_agents_position AS p
             JOIN journal AS j ON j.seq = p.seq"#,
    )
    .fetch_optional(pooled.connection()?)
    .await?;
    Ok(end.map(|end| position(end.seq, end.items, end.received_at)))
}

/// Reads up to `most` items of agents after a place, up to the entry `last`.
async fn read_items(
    pooled: &mut PooledConnection<'_>,
    agents: &[String],
    after: Place,
    last: i64,
    most: i64,
) -> Result<Vec<ItemRow>, sqlx::Error> {
    // An entry has at least one item of an agent, and the first may have been read in part.
    sqlx::query_as!(
        ItemRow,
        r#"SELECT
                 e.seq AS "seq!",
                 j.received_at AS "received_at!",
                 k.item AS "item!",
                 CASE WHEN k.item <= n.sessions
                     THEN j.session_ids[k.item]
                     ELSE j.message_session_ids[k.item - n.sessions]
                 END AS session_id,
                 j.message_times[k.item - n.sessions] AS occurred_at,
                 j.message_ids[k.item - n.sessions] AS message_id,
                 CASE WHEN k.item > n.sessions + n.messages THEN j.erasure::text END AS erasure
             FROM (
                 SELECT mine.seq, mine.items
                 FROM unnest($1::text[]) AS agent (id)
                 CROSS JOIN LATERAL (
                     SELECT a.seq, a.items
                     FROM journal_agents AS a
                     WHERE a.agent_id = agent.id AND a.seq >= $2 AND a.seq <= $4
                     ORDER BY a.seq
                     LIMIT $5::bigint + 1
                 ) AS mine
                 ORDER BY mine.seq
                 FETCH FIRST ($5::bigint + 1) ROWS WITH TIES
             ) AS e
             JOIN journal AS j ON j.seq = e.seq
             CROSS JOIN LATERAL (
                 SELECT
                     cardinality(j.session_ids) AS sessions,
                     cardinality(j.message_ids) AS messages
             ) AS n
             CROSS JOIN LATERAL unnest(e.items) AS k (item)
             WHERE (e.seq, k.item) > ($2, $3)
             ORDER BY e.seq, k.item
             LIMIT $5::bigint"#,
        agents,
        after.seq,
        i32::try_from(after.items).unwrap_or(i32::MAX),
        last,
        most,
    )
    .fetch_all(pooled.connection()?)
    .await
}

fn position(seq: i64, items: i32, at: DateTime<Utc>) -> Position<Place> {
    Position { at, key: Place { seq, items: items.unsigned_abs() } }
}

/// Indexes the next entries, and returns the last indexed number. Entries become visible in the
/// order of their numbers, so none is skipped.
async fn index_next_entries(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let reached = sqlx::query_scalar!("SELECT seq FROM journal_agents_position FOR UPDATE")
        .fetch_one(&mut *transaction)
        .await?;
    let to = sqlx::query_scalar!(
        r#"SELECT COALESCE(max(seq), $1) AS "seq!"
         FROM (
             SELECT
                 seq,
                 row_number() OVER (ORDER BY seq) AS place,
                 sum(pg_column_size(session_ids) + pg_column_size(message_ids))
                     OVER (ORDER BY seq) AS bytes
             FROM journal
             WHERE seq > $1
             ORDER BY seq
             LIMIT $2
         ) AS next
         WHERE place = 1 OR bytes <= $3"#,
        reached,
        BATCH_ENTRIES,
        BATCH_BYTES,
    )
    .fetch_one(&mut *transaction)
    .await?;
    // A deleted session has nothing to show.
    sqlx::query!(
        "INSERT INTO journal_agents (agent_id, seq, items)
         SELECT agent_id, seq, array_agg(item ORDER BY item)
         FROM (
             SELECT s.agent_id, j.seq, k.item::integer
             FROM journal AS j
             CROSS JOIN LATERAL unnest(j.session_ids || j.message_session_ids)
                 WITH ORDINALITY AS k (session_id, item)
             JOIN sessions AS s ON s.id = k.session_id
             WHERE j.seq > $1 AND j.seq <= $2
             UNION ALL
             SELECT
                 erasure ->> 'agent_id',
                 seq,
                 cardinality(session_ids) + cardinality(message_ids) + 1
             FROM journal
             WHERE seq > $1 AND seq <= $2 AND erasure IS NOT NULL
         ) AS items
         GROUP BY agent_id, seq
         ORDER BY agent_id, seq
         ON CONFLICT DO NOTHING",
        reached,
        to,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!("UPDATE journal_agents_position SET seq = $1", to)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(to)
}
