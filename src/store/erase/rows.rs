//! Deletes the rows of sessions, for an erasure or because they are expired.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::domain::roles::{Roles, Side};
use crate::store::journal::{ErasedSession, MessageKey};
use crate::store::{facts, search};

/// Tables with a row for each message, except `messages`, and the column with the message's ID. The
/// session's ID is in `session_id`.
const TABLES_OF_MESSAGES: [(&str, &str); 1] = [("guarded_messages", "id")];
/// Tables with other rows of a session. The session's ID is in `session_id`.
const TABLES_OF_SESSIONS: [&str; 2] = ["joins", "other_events"];

/// Sessions that are deleted in one transaction.
pub(in crate::store) const BATCH_SESSIONS: i64 = 100;
/// Messages of one session that are deleted in one transaction, in some tens of milliseconds.
pub(in crate::store) const BATCH_MESSAGES: i64 = 2_000;

/// Locks deletions and holds: one transaction at a time deletes sessions or changes holds.
pub(in crate::store) const DELETING: &str =
    "SELECT pg_advisory_xact_lock(hashtext('verbatim deleting'))";

/// Numbers of deleted rows by table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(pub BTreeMap<String, u64>);

impl Tally {
    /// Adds deleted rows of a table.
    pub(in crate::store) fn add(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            *self.0.entry(table.to_owned()).or_default() += rows;
        }
    }

    /// Returns the number of deleted rows of a table.
    #[must_use]
    pub fn of(&self, table: &str) -> u64 {
        self.0.get(table).copied().unwrap_or(0)
    }
}

/// Sessions that [`delete_sessions`] deleted.
#[derive(Debug, Default)]
pub(in crate::store) struct Deleted {
    /// Sessions with their agents.
    pub(in crate::store) sessions: Vec<(String, ErasedSession)>,
    /// Their agents, each once.
    pub(in crate::store) agents: Vec<String>,
}

/// Deletes sessions with all their rows, and subtracts them from the agents' counts. Locks in the
/// writer's order: sessions, then agents.
pub(in crate::store) async fn delete_sessions(
    connection: &mut PgConnection,
    ids: &[Uuid],
    tally: &mut Tally,
) -> Result<Deleted, sqlx::Error> {
    sqlx::query!("SELECT id FROM sessions WHERE id = ANY ($1) ORDER BY id FOR UPDATE", ids)
        .fetch_all(&mut *connection)
        .await?;
    let of_messages = TABLES_OF_MESSAGES.iter().map(|(table, _)| *table);
    for table in of_messages.chain(["messages"]).chain(TABLES_OF_SESSIONS) {
        // The name is a constant.
        let sql = format!("DELETE FROM {table} WHERE session_id = ANY ($1)");
        let done = sqlx::query(AssertSqlSafe(sql)).bind(ids).execute(&mut *connection).await?;
        tally.add(table, done.rows_affected());
    }
    tally.add("search_documents", search::forget_sessions(connection, ids).await?);
    facts::forget_sessions(connection, ids).await?;
    let gone = sqlx::query!(
        "DELETE FROM sessions
         WHERE id = ANY ($1)
         RETURNING id, agent_id, source, sender_session_id, message_count",
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    tally.add("sessions", gone.len() as u64);
    let mut agents: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut sessions = Vec::with_capacity(gone.len());
    for row in gone {
        let (count, messages) = agents.entry(row.agent_id.clone()).or_default();
        *count += 1;
        *messages += row.message_count;
        let (id, session_id, source) = (row.id, row.sender_session_id, row.source);
        sessions.push((row.agent_id, ErasedSession { id, session_id, source }));
    }
    let counts: Vec<(i64, i64)> = agents.values().copied().collect();
    let agents: Vec<String> = agents.into_keys().collect();
    subtract_from_agents(connection, &agents, &counts).await?;
    Ok(Deleted { sessions, agents })
}

/// Subtracts numbers of sessions and messages from the agents' counts. The rows are locked in
/// order.
async fn subtract_from_agents(
    connection: &mut PgConnection,
    agents: &[String],
    counts: &[(i64, i64)],
) -> Result<(), sqlx::Error> {
    lock_agents(connection, agents).await?;
    sqlx::query!(
        "UPDATE agents AS a
         SET session_count = a.session_count - less.sessions,
             message_count = a.message_count - less.messages
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS less (agent_id, sessions, messages)
         WHERE a.agent_id = less.agent_id",
        agents,
        &counts.iter().map(|(sessions, _)| *sessions).collect::<Vec<_>>(),
        &counts.iter().map(|(_, messages)| *messages).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn lock_agents(connection: &mut PgConnection, agents: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT agent_id FROM agents WHERE agent_id = ANY ($1) ORDER BY agent_id FOR UPDATE",
        agents,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// Recomputes the times of agents' first session and last activity. Deletes agents without
/// sessions.
pub(in crate::store) async fn correct_agents(
    connection: &mut PgConnection,
    agents: &[String],
) -> Result<(), sqlx::Error> {
    // A separate statement, so that the next ones see what was committed before the lock was
    // acquired.
    lock_agents(connection, agents).await?;
    sqlx::query!("DELETE FROM agents WHERE agent_id = ANY ($1) AND session_count <= 0", agents,)
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "UPDATE agents AS a
         SET first_seen_at = seen.first_seen_at,
             last_activity_at = seen.last_activity_at
         FROM (
             SELECT
                 agent_id,
                 min(started_at) AS first_seen_at,
                 max(last_activity_at) AS last_activity_at
             FROM sessions
             WHERE agent_id = ANY ($1)
             GROUP BY agent_id
         ) AS seen
         WHERE a.agent_id = seen.agent_id",
        agents,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes a batch of a session's oldest messages, only those before a time if one is given.
/// Subtracts them from the counts and returns their number.
///
/// Counts by role do not go below 0: messages may have been stored under other role settings.
pub(in crate::store) async fn trim(
    connection: &mut PgConnection,
    session: Uuid,
    before: Option<DateTime<Utc>>,
    roles: &Roles,
    tally: &mut Tally,
) -> Result<i64, sqlx::Error> {
    let locked =
        sqlx::query_scalar!("SELECT agent_id FROM sessions WHERE id = $1 FOR UPDATE", session)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(agent_id) = locked else { return Ok(0) };
    let gone = sqlx::query!(
        "DELETE FROM messages
         WHERE (session_id, occurred_at, id) IN (
             SELECT session_id, occurred_at, id
             FROM messages
             WHERE session_id = $1 AND occurred_at < COALESCE($2, 'infinity'::timestamptz)
             ORDER BY occurred_at, id
             LIMIT $3
         )
         RETURNING id, occurred_at, role",
        session,
        before,
        BATCH_MESSAGES,
    )
    .fetch_all(&mut *connection)
    .await?;
    let count = i64::try_from(gone.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(0);
    }
    tally.add("messages", gone.len() as u64);
    let ids: Vec<Uuid> = gone.iter().map(|row| row.id).collect();
    let keys = gone.iter().map(|row| MessageKey {
        session_id: session,
        occurred_at: row.occurred_at,
        id: row.id,
    });
    let keys: Vec<MessageKey> = keys.collect();
    tally.add("search_documents", search::forget_messages(connection, &keys).await?);
    for (table, column) in TABLES_OF_MESSAGES {
        // The names are constants.
        let sql = format!("DELETE FROM {table} WHERE session_id = $1 AND {column} = ANY ($2)");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(session).bind(&ids);
        tally.add(table, query.execute(&mut *connection).await?.rows_affected());
    }
    let of = |side: Side| {
        let spoken = gone.iter().filter(|row| roles.side_of(&row.role) == side);
        i64::try_from(spoken.count()).unwrap_or(i64::MAX)
    };
    sqlx::query!(
        "UPDATE sessions
         SET message_count = message_count - $2,
             user_message_count = GREATEST(user_message_count - $3, 0),
             assistant_message_count = GREATEST(assistant_message_count - $4, 0)
         WHERE id = $1",
        session,
        count,
        of(Side::User),
        of(Side::Assistant),
    )
    .execute(&mut *connection)
    .await?;
    subtract_from_agents(connection, &[agent_id], &[(0, count)]).await?;
    Ok(count)
}
