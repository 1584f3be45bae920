//! Permanent erasure of a session, or of an agent with all its data.
//!
//! A row of `erasures` is stored first. It prevents the writer from storing deliveries that are
//! still on their way, it shows where to resume after a crash, and it is the receipt. Then rows are
//! deleted in transactions of bounded size: long sessions are trimmed, then whole sessions are
//! deleted, then their deliveries in the log, including quarantined ones that name them.

mod begin;
mod log;
mod names;
mod receipts;
mod rows;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub use begin::{BeginOutcome, NewErasure, Target};
pub use names::Reach;
pub use receipts::{ErasureFilter, Receipt};
use receipts::{counts, record_progress};
pub use rows::Tally;
pub(super) use rows::{
    BATCH_MESSAGES, BATCH_SESSIONS, DELETING, correct_agents, delete_sessions, trim,
};

use crate::clock::Clock;
use crate::domain::Roles;
use crate::store::ingest::journal::append_erasures;
use crate::store::ingest::tombstones::{ALONE, BEGIN_ALONE};
use crate::store::sessions::SessionKey;
use crate::store::{Store, StoreError, facts};

impl Store {
    /// Carries out a stored erasure and returns the receipt. Returns `None` if it is finished, or
    /// if another task carries it out. If this future is dropped, the erasure can be resumed.
    pub async fn run_erasure(
        &self,
        id: Uuid,
        clock: &Clock,
    ) -> Result<Option<Receipt>, StoreError> {
        let mut connection = self.long_running_connection().await?;
        let locked = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "mine!""#,
            id.to_string(),
        )
        .fetch_one(&mut connection)
        .await?;
        if !locked {
            return Ok(None);
        }
        let carried_out = run_erasure(&mut connection, id, clock, &self.roles).await;
        // The erasure may be committed even if the result is an error.
        self.erasures.raise();
        let receipt = carried_out?;
        // An error does not matter: Postgres detects a closed connection.
        let _ = connection.close().await;
        Ok(receipt)
    }

    /// Returns the ID of an unfinished erasure of a session that the caller may see. The session
    /// may already be deleted.
    pub async fn unfinished_erasure(
        &self,
        key: SessionKey<'_>,
    ) -> Result<Option<Uuid>, StoreError> {
        let id = sqlx::query_scalar!(
            "SELECT id
             FROM erasures
             WHERE finished_at IS NULL
                 AND session_id IS NOT NULL
                 AND (sender_session_id = $1 OR session_id = $2)
                 AND ($3::text IS NULL OR agent_id = $3)
                 AND ($4::text IS NULL OR source = $4)
                 AND ($5::text[] IS NULL OR agent_id = ANY ($5))
             ORDER BY id
             LIMIT 1",
            key.session_id,
            key.id(),
            key.agent_id,
            key.source,
            key.visible,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id)
    }

    /// Returns true if an agent has data to erase. An agent without sessions may have account
    /// events, deliveries in the log, or quarantined deliveries that name it: this searches the
    /// whole log. For a `bound` key, only data that is provably the agent's counts.
    pub async fn has_anything_of(
        &self,
        agent_id: &str,
        bound: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar!(
            r#"SELECT
                 EXISTS (SELECT FROM agents WHERE agent_id = $1)
                 OR EXISTS (SELECT FROM other_events WHERE agent_id = $1 AND session_id IS NULL)
                 OR EXISTS (
                     SELECT
                     FROM erasures
                     WHERE agent_id = $1 AND session_id IS NULL AND finished_at IS NULL
                 ) AS "known!""#,
            agent_id,
        )
        .fetch_one(&self.pool)
        .await?;
        if known {
            return Ok(true);
        }
        let mut connection = self.long_running_connection().await?;
        let found = log::has_deliveries_of(&mut connection, agent_id, bound, now).await?;
        let _ = connection.close().await;
        Ok(found)
    }

    /// Returns the IDs of unfinished erasures, oldest first.
    pub async fn unfinished_erasures(&self) -> Result<Vec<Uuid>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM erasures WHERE finished_at IS NULL ORDER BY id LIMIT 1000"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids)
    }
}

async fn run_erasure(
    connection: &mut PgConnection,
    id: Uuid,
    clock: &Clock,
    roles: &Roles,
) -> Result<Option<Receipt>, sqlx::Error> {
    let Some(mut receipt) = receipts::unfinished(connection, id).await? else { return Ok(None) };
    match receipt.session.as_ref().map(|session| session.id) {
        Some(session) => erase_sessions(connection, &mut receipt, &[session], clock, roles).await?,
        None => {
            let mut after = Uuid::nil();
            loop {
                let ids = sessions_of(connection, &receipt.agent_id, after).await?;
                let Some(last) = ids.last() else { break };
                after = *last;
                erase_sessions(connection, &mut receipt, &ids, clock, roles).await?;
            }
        }
    }
    log::erase(connection, &mut receipt).await?;
    finish(connection, &mut receipt, clock).await?;
    Ok(Some(receipt))
}

/// Returns the next of an agent's sessions in the order of their IDs, so that each is erased once
/// even if it starts again meanwhile.
async fn sessions_of(
    connection: &mut PgConnection,
    agent_id: &str,
    after: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE agent_id = $1 AND id > $2 ORDER BY id LIMIT $3",
        agent_id,
        after,
        BATCH_SESSIONS,
    )
    .fetch_all(connection)
    .await
}

/// Erases whole sessions, including rows that were stored after the erasure began.
async fn erase_sessions(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    ids: &[Uuid],
    clock: &Clock,
    roles: &Roles,
) -> Result<(), sqlx::Error> {
    trim_long(connection, receipt, ids, roles).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(facts::LOCK_FACTS).execute(&mut *transaction).await?;
    sqlx::raw_sql(ALONE).execute(&mut *transaction).await?;
    sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
    receipt.erased_at = receipt.erased_at.max(clock.now());
    insert_erased_events(&mut transaction, ids, receipt.erased_at).await?;
    let mut rows = receipt.rows.clone();
    let gone = delete_sessions(&mut transaction, ids, &mut rows).await?;
    correct_agents(&mut transaction, &gone.agents).await?;
    receipt.rows = rows;
    record_progress(&mut transaction, receipt).await?;
    if receipt.session.is_some() && !gone.sessions.is_empty() {
        append_erasures(&mut transaction, &[receipt.erasure()], &[]).await?;
    }
    transaction.commit().await
}

/// Trims long sessions, one batch in each transaction, so that the rest is deleted quickly.
async fn trim_long(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    ids: &[Uuid],
    roles: &Roles,
) -> Result<(), sqlx::Error> {
    let long = sqlx::query_scalar!(
        "SELECT id FROM sessions WHERE id = ANY ($1) AND message_count > $2 ORDER BY id",
        ids,
        BATCH_MESSAGES,
    )
    .fetch_all(&mut *connection)
    .await?;
    for id in long {
        // In one transaction: only IDs are copied.
        insert_erased_events(connection, &[id], receipt.erased_at).await?;
        loop {
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
            let mut rows = receipt.rows.clone();
            let cut = trim(&mut transaction, id, None, roles, &mut rows).await?;
            receipt.rows = rows;
            record_progress(&mut transaction, receipt).await?;
            transaction.commit().await?;
            if cut < BATCH_MESSAGES {
                break;
            }
        }
    }
    Ok(())
}

/// Stores the IDs of events that the time of the erasure does not reject: those that could arrive
/// again with another time, and those of a sender whose clock is ahead of ours. Joins and ends are
/// few in a session, so all of them are stored.
async fn insert_erased_events(
    connection: &mut PgConnection,
    ids: &[Uuid],
    erased_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO erased_events (id)
         SELECT id FROM guarded_messages WHERE session_id = ANY ($1)
         UNION
         SELECT id FROM messages WHERE session_id = ANY ($1) AND occurred_at > $2
         UNION
         SELECT id FROM joins WHERE session_id = ANY ($1)
         UNION
         SELECT id FROM other_events WHERE session_id = ANY ($1)
         ON CONFLICT DO NOTHING",
        ids,
        erased_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn finish(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    clock: &Clock,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN_ALONE).await?;
    if receipt.session.is_none() {
        sqlx::query!(
            "INSERT INTO erased_events (id)
             SELECT id
             FROM other_events
             WHERE agent_id = $1 AND session_id IS NULL AND received_at <= $2
             ON CONFLICT DO NOTHING",
            receipt.agent_id,
            receipt.erased_at,
        )
        .execute(&mut *transaction)
        .await?;
        let gone = sqlx::query!(
            "DELETE FROM other_events WHERE agent_id = $1 AND session_id IS NULL AND received_at <= $2",
            receipt.agent_id,
            receipt.erased_at,
        )
        .execute(&mut *transaction)
        .await?;
        receipt.rows.add("other_events", gone.rows_affected());
        // The row shows when somebody talked with the agent.
        sqlx::query!("DELETE FROM journal_agents WHERE agent_id = $1", receipt.agent_id)
            .execute(&mut *transaction)
            .await?;
        append_erasures(&mut transaction, &[receipt.erasure()], &[]).await?;
    }
    let finished_at = clock.now();
    receipt.finished_at = Some(finished_at);
    sqlx::query!(
        "UPDATE erasures SET counts = $2::text::jsonb, finished_at = $3 WHERE id = $1",
        receipt.id,
        counts(&receipt.rows)?,
        finished_at,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
