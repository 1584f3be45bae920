//! Database snapshot in which the figures of one answer are read.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Postgres, Transaction};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::day_cache::DayCache;
use super::room::Room;
use crate::store::{Store, StoreError};

/// A query that exceeds the timeout is cancelled: it occupies a connection and a processor. Plans
/// are made for the parameters: generic plans would read all levels of sums and all kinds of facts.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = '8s'; \
    SET LOCAL plan_cache_mode = force_custom_plan";

/// Entries of the journal that are searched for arrivals that facts do not reflect yet: some
/// seconds of a busy drain.
const MAX_PENDING: i64 = 32;
/// Longest wait for a snapshot. After it the request fails and can be retried.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Facts in one database snapshot.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) transaction: Transaction<'static, Postgres>,
    pub(super) days: Arc<DayCache>,
    _permit: OwnedSemaphorePermit,
}

impl Store {
    /// Begins a snapshot. It ends when it is dropped.
    pub async fn figures(&self) -> Result<Snapshot, StoreError> {
        let Room { permits, days } = self.figures.clone();
        let permit = permits.acquire_owned();
        let permit = timeout(MAX_WAIT, permit).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(Snapshot { transaction: self.pool.begin_with(BEGIN).await?, days, _permit: permit })
    }
}

impl Snapshot {
    /// Returns the arrival time up to which facts reflect everything, at most `now`. It depends
    /// only on agents that the caller may see. Returns `None` if facts are far behind, for example
    /// during a recomputation, and the time is not known for these agents.
    pub async fn complete_until(
        &mut self,
        visible: Option<&[String]>,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let behind = sqlx::query!(
            r#"SELECT
                 (
                     SELECT count(*)
                     FROM (SELECT FROM journal WHERE seq > p.seq ORDER BY seq LIMIT $1) AS j
                 ) AS "pending!",
                 (SELECT received_at FROM journal WHERE seq = p.seq) AS reached
             FROM facts_position AS p"#,
            MAX_PENDING + 1,
        )
        .fetch_one(&mut *self.transaction)
        .await?;
        if behind.pending == 0 {
            return Ok(Some(now));
        }
        if behind.pending > MAX_PENDING {
            // Hidden from bound keys: it is the arrival of a delivery of any agent.
            return Ok(behind.reached.filter(|_| visible.is_none()));
        }
        let oldest = self.oldest_pending(visible).await?;
        let before = |oldest| now.min(oldest - TimeDelta::microseconds(1));
        Ok(Some(oldest.map_or(now, before)))
    }

    /// Returns the time of the first arrival that facts do not reflect yet; `None` without one.
    async fn oldest_pending(
        &mut self,
        visible: Option<&[String]>,
    ) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        sqlx::query_scalar!(
            r#"WITH pending AS (
                 SELECT session_ids, message_session_ids, message_times, message_ids
                 FROM journal
                 WHERE seq > (SELECT seq FROM facts_position)
             ),
             touched AS (
                 SELECT DISTINCT s.id
                 FROM pending
                 CROSS JOIN LATERAL UNNEST(pending.session_ids) AS named (id)
                 JOIN sessions AS s ON s.id = named.id
                 WHERE $1::text[] IS NULL OR s.agent_id = ANY ($1)
             ),
             arrivals AS (
                 SELECT m.received_at
                 FROM pending
                 CROSS JOIN LATERAL UNNEST(
                     pending.message_session_ids, pending.message_times, pending.message_ids
                 ) AS key (session_id, occurred_at, id)
                 JOIN touched AS t ON t.id = key.session_id
                 JOIN messages AS m
                     ON m.session_id = key.session_id
                     AND m.occurred_at = key.occurred_at
                     AND m.id = key.id
                 UNION ALL
                 SELECT j.received_at
                 FROM joins AS j
                 JOIN touched AS t ON t.id = j.session_id
                 WHERE NOT EXISTS (
                     SELECT FROM presence_facts AS f
                     WHERE f.session_id = j.session_id AND f.id = j.id
                 )
                 UNION ALL
                 SELECT e.received_at
                 FROM other_events AS e
                 JOIN touched AS t ON t.id = e.session_id
                 WHERE NOT EXISTS (
                     SELECT FROM presence_facts AS f
                     WHERE f.session_id = e.session_id AND f.id = e.id
                 )
             )
             SELECT min(received_at) FROM arrivals"#,
            visible as _,
        )
        .fetch_one(&mut *self.transaction)
        .await
    }
}
