//! Erasing for good: a session, or an agent with all that it has.
//!
//! A row of `erasures` comes first. It keeps the writer from storing again what is on its way, it
//! says where a crash left off, and it is the receipt. Then the rows go, in transactions of bounded
//! size: sessions whole, after the longest have been cut short; then the log of deliveries; then
//! what lies in quarantine and names them.

mod begin;
mod log;
mod names;
mod receipts;
mod rows;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

pub use begin::{Begun, NewErasure, Target};
pub use names::Reach;
pub use receipts::ErasureFilter;
pub use rows::Tally;
pub(super) use rows::{DELETING, correct_agents, delete_sessions, trim};

use crate::clock::Clock;
use crate::domain::Roles;
use crate::store::ingest::journal::append_erasures;
use crate::store::ingest::tombstones::{ALONE, BEGIN_ALONE};
use crate::store::journal::{ErasedSession, Erasure, ErasureKind};
use crate::store::sessions::SessionKey;
use crate::store::{Store, StoreError, facts};

/// Sessions that go in one transaction.
pub(super) const BATCH_SESSIONS: i64 = 100;
/// Messages of one session that go in one transaction: some tens of milliseconds of work.
pub(super) const BATCH_MESSAGES: i64 = 2_000;

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// By which it is known.
    pub id: Uuid,
    /// How much.
    pub kind: ErasureKind,
    /// Whose.
    pub agent_id: String,
    /// Which session; `None` where it is all that the agent had.
    pub session: Option<ErasedSession>,
    /// What arrived or happened up to here is not stored again.
    pub erased_at: DateTime<Utc>,
    /// When everything was gone; `None` while some of it is not.
    pub finished_at: Option<DateTime<Utc>>,
    /// Rows that are gone, by table.
    pub rows: Tally,
    /// A key that is bound to agents asked for it.
    pub bound: bool,
}

impl Receipt {
    fn erasure(&self) -> Erasure {
        Erasure {
            id: self.id,
            kind: self.kind,
            agent_id: self.agent_id.clone(),
            session: self.session.clone(),
            at: self.erased_at,
            before: None,
        }
    }

    /// What it reaches by the names in a body.
    fn reach(&self) -> Reach<'_> {
        let session = self.session.as_ref();
        Reach {
            agent_id: &self.agent_id,
            session_id: session.map(|session| session.session_id.as_str()),
            bound: self.bound,
        }
    }
}

impl Store {
    /// Carries an erasure that was begun to its end, and gives the receipt; `None` where somebody
    /// else is at it, or it has come to its end. Wherever it is dropped, it can be taken up again.
    pub async fn carry_out(&self, id: Uuid, clock: &Clock) -> Result<Option<Receipt>, StoreError> {
        let mut connection = self.patient().await?;
        let mine = sqlx::query_scalar!(
            r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "mine!""#,
            id.to_string(),
        )
        .fetch_one(&mut connection)
        .await?;
        if !mine {
            return Ok(None);
        }
        let carried_out = carry_out(&mut connection, id, clock, &self.roles).await;
        // Its end may be committed where the answer is an error, too.
        self.erasures.raise();
        let receipt = carried_out?;
        // Postgres notices by itself where the farewell does not reach it.
        let _ = connection.close().await;
        Ok(receipt)
    }

    /// An erasure of a session that has not come to its end, though the session may be gone
    /// already; within what a caller may see.
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

    /// Whether there is anything to erase of an agent. One that never had a session may have events
    /// of the account, deliveries in the log, or something in quarantine that names it: those are
    /// looked for along the whole log. For a key that is `bound`, only what provably is the agent's
    /// counts.
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
        let mut connection = self.patient().await?;
        let told = log::tells_of(&mut connection, agent_id, bound, now).await?;
        let _ = connection.close().await;
        Ok(told)
    }

    /// Erasures that have not come to their end, the oldest first.
    pub async fn unfinished_erasures(&self) -> Result<Vec<Uuid>, StoreError> {
        let ids = sqlx::query_scalar!(
            "SELECT id FROM erasures WHERE finished_at IS NULL ORDER BY id LIMIT 1000"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids)
    }
}

async fn carry_out(
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

/// An agent's sessions in the order of their ids, so that each is met once, also where it starts
/// anew meanwhile.
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

/// Erases sessions whole: what is there by now, also what came after the erasure was begun.
async fn erase_sessions(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    ids: &[Uuid],
    clock: &Clock,
    roles: &Roles,
) -> Result<(), sqlx::Error> {
    shorten(connection, receipt, ids, roles).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(facts::HOLD).execute(&mut *transaction).await?;
    sqlx::raw_sql(ALONE).execute(&mut *transaction).await?;
    sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
    receipt.erased_at = receipt.erased_at.max(clock.now());
    remember_events(&mut transaction, ids, receipt.erased_at).await?;
    let mut rows = receipt.rows.clone();
    let gone = delete_sessions(&mut transaction, ids, &mut rows).await?;
    correct_agents(&mut transaction, &gone.agents).await?;
    receipt.rows = rows;
    note(&mut transaction, receipt).await?;
    if receipt.session.is_some() && !gone.sessions.is_empty() {
        append_erasures(&mut transaction, &[receipt.erasure()], &[]).await?;
    }
    transaction.commit().await
}

/// Cuts long sessions short, a batch a transaction, so that what is left goes in a moment.
async fn shorten(
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
        // All of it at once: it is ids alone.
        remember_events(connection, &[id], receipt.erased_at).await?;
        loop {
            let mut transaction = connection.begin().await?;
            sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
            let mut rows = receipt.rows.clone();
            let cut = trim(&mut transaction, id, None, roles, &mut rows).await?;
            receipt.rows = rows;
            note(&mut transaction, receipt).await?;
            transaction.commit().await?;
            if cut < BATCH_MESSAGES {
                break;
            }
        }
    }
    Ok(())
}

/// Keeps the ids of events that the time of the erasure does not keep away: those that could come
/// back with another time, and those of a sender whose clock is ahead of ours. Of joins and ends a
/// session has hardly more than one, so all of them are kept.
async fn remember_events(
    connection: &mut PgConnection,
    ids: &[Uuid],
    erased_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO erased_events (id)
         SELECT id FROM guarded_messages WHERE session_id = ANY ($1) AND NOT by_header
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

/// Writes down how far an erasure has come.
async fn note(connection: &mut PgConnection, receipt: &Receipt) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE erasures SET erased_at = $2, counts = $3::text::jsonb WHERE id = $1",
        receipt.id,
        receipt.erased_at,
        counts(&receipt.rows)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn counts(rows: &Tally) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
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
        // It says when the agent was spoken with.
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
