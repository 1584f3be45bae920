//! Retention by source: counts and deletes expired rows.
//!
//! A session's rows are deleted together, so its counts always match its messages. A month of
//! `messages` is dropped once it is empty. Data on hold stays.

mod log;
mod months;
mod parts;
mod turn;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::domain::DeliveryId;
use crate::store::erase::{
    BATCH_MESSAGES, BATCH_SESSIONS, DELETING, Tally, correct_agents, delete_sessions,
};
use crate::store::ingest::journal::append_erasures;
use crate::store::journal::{ErasedSession, Erasure, ErasureKind};
use crate::store::page::BEFORE_ALL;
use crate::store::{Store, StoreError, facts};

/// Times before which rows are expired; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit of the sources without one of their own.
    pub usual: Option<DateTime<Utc>>,
    /// Limits by source.
    pub of_sources: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Limits {
    /// Returns the parameters of a query: sources, their limits, the default one.
    fn parts(&self) -> (Vec<String>, Vec<DateTime<Utc>>, DateTime<Utc>) {
        let (sources, limits) = self
            .of_sources
            .iter()
            .map(|(source, limit)| (source.clone(), limit.unwrap_or(BEFORE_ALL)))
            .unzip();
        (sources, limits, self.usual.unwrap_or(BEFORE_ALL))
    }

    /// Returns the limit of one source.
    fn of(&self, source: &str) -> Option<DateTime<Utc>> {
        self.of_sources.get(source).copied().unwrap_or(self.usual)
    }

    /// Returns the latest limit: nothing later is expired.
    fn latest(&self) -> DateTime<Utc> {
        let of_sources = self.of_sources.values().copied().flatten();
        of_sources.chain(self.usual).max().unwrap_or(BEFORE_ALL)
    }
}

/// Expired rows of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRows {
    /// Table name.
    pub table: &'static str,
    /// Source.
    pub source: String,
    /// Number of rows.
    pub rows: i64,
}

impl Store {
    /// Counts expired sessions and messages.
    pub async fn count_expired_conversations(
        &self,
        limits: &Limits,
    ) -> Result<Vec<ExpiredRows>, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let mut connection = self.long_running_connection().await?;
        let whole = sqlx::query!(
            r#"SELECT s.source, count(*) AS "sessions!", sum(s.message_count)::bigint AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             WHERE s.activity_bucket <= $4
                 AND s.last_activity_at < COALESCE(l.until, $3)
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source
             ORDER BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&mut connection)
        .await?;
        let parts = sqlx::query!(
            r#"SELECT s.source, count(*) AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             JOIN messages AS m ON m.session_id = s.id
             WHERE s.started_at < COALESCE(l.until, $3)
                 AND s.last_activity_at >= COALESCE(l.until, $3)
                 AND m.occurred_at < COALESCE(l.until, $3)
                 AND m.occurred_at < $4
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&mut connection)
        .await?;
        let _ = connection.close().await;
        let mut messages: BTreeMap<String, i64> = BTreeMap::new();
        let mut old = Vec::new();
        for row in whole {
            *messages.entry(row.source.clone()).or_default() += row.messages;
            old.push(ExpiredRows { table: "sessions", source: row.source, rows: row.sessions });
        }
        for row in parts {
            *messages.entry(row.source).or_default() += row.messages;
        }
        old.extend(
            messages.into_iter().filter(|(_, rows)| *rows > 0).map(|(source, rows)| ExpiredRows {
                table: "messages",
                source,
                rows,
            }),
        );
        Ok(old)
    }

    /// Deletes sessions whose last activity is expired, and the expired messages of others. Each
    /// deletion is in the journal. Returns false, and deletes nothing, while another service deletes
    /// expired rows.
    pub async fn delete_expired_sessions(
        &self,
        limits: &Limits,
        now: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<bool, StoreError> {
        let mut connection = self.long_running_connection().await?;
        let mine = turn::take(&mut connection).await?;
        if mine {
            delete_whole_sessions(&mut connection, limits, now, tally).await?;
            parts::delete_expired_messages(&mut connection, limits, now, &self.roles, tally)
                .await?;
            turn::end(&mut connection).await?;
        }
        let _ = connection.close().await;
        Ok(mine)
    }
}

async fn delete_whole_sessions(
    connection: &mut PgConnection,
    limits: &Limits,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), sqlx::Error> {
    let (sources, untils, usual) = limits.parts();
    let mut after = (BEFORE_ALL, Uuid::nil());
    let mut agents = Vec::new();
    loop {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(facts::LOCK_FACTS).execute(&mut *transaction).await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let found = sqlx::query!(
            "SELECT s.id, s.activity_bucket
             FROM sessions AS s
             WHERE s.activity_bucket <= $4
                 AND (s.activity_bucket, s.id) > ($5, $6)
                 AND s.last_activity_at < COALESCE(
                     (
                         SELECT l.until
                         FROM UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                         WHERE l.source = s.source
                     ),
                     $3
                 )
                 AND s.message_count <= $7
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             ORDER BY s.activity_bucket, s.id
             LIMIT $8",
            &sources,
            &untils,
            usual,
            limits.latest(),
            after.0,
            after.1,
            BATCH_MESSAGES,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = found.iter().map(|row| (row.activity_bucket, row.id)).max() else { break };
        after = last;
        let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
        let ids = lock_expired(&mut transaction, &ids, limits).await?;
        let mut rows = tally.clone();
        let gone = delete_sessions(&mut transaction, &ids, &mut rows).await?;
        let erasures: Vec<_> =
            gone.sessions.into_iter().map(|one| retention_erasure(one, now, None)).collect();
        append_erasures(&mut transaction, &erasures, &[]).await?;
        transaction.commit().await?;
        *tally = rows;
        agents.extend(gone.agents);
        agents.sort_unstable();
        agents.dedup();
    }
    for agent in agents {
        let mut transaction = connection.begin().await?;
        correct_agents(&mut transaction, &[agent]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Locks sessions in the writer's order, and returns those that are still expired.
async fn lock_expired(
    connection: &mut PgConnection,
    ids: &[Uuid],
    limits: &Limits,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, source, last_activity_at
         FROM sessions
         WHERE id = ANY ($1)
         ORDER BY id
         FOR UPDATE",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let old = rows.into_iter().filter(|row| Some(row.last_activity_at) < limits.of(&row.source));
    Ok(old.map(|row| row.id).collect())
}

/// Returns the journal item of an expired session, or of its messages before a time.
fn retention_erasure(
    (agent_id, session): (String, ErasedSession),
    at: DateTime<Utc>,
    before: Option<DateTime<Utc>>,
) -> Erasure {
    let (id, kind) = (DeliveryId::new(at).0, ErasureKind::Retention);
    Erasure { id, kind, agent_id, session: Some(session), at, before }
}
