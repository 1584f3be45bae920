//! Deletes the expired beginning of sessions that are not expired: they begin later then.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::limits::Limits;
use super::sessions::{delete_whole_sessions, retention_erasure};
use crate::domain::Roles;
use crate::store::erase::{BATCH_MESSAGES, BATCH_SESSIONS, DELETING, Tally, correct_agents, trim};
use crate::store::ingest::journal::append_erasures;
use crate::store::journal::ErasedSession;

/// Deletes expired messages of sessions that are not expired, or are too long for one transaction.
pub(super) async fn delete_expired_messages(
    connection: &mut PgConnection,
    limits: &Limits,
    now: DateTime<Utc>,
    roles: &Roles,
    tally: &mut Tally,
) -> Result<(), sqlx::Error> {
    let (sources, untils, usual) = limits.parts();
    let mut after = Uuid::nil();
    let mut agents = Vec::new();
    loop {
        let found = sqlx::query!(
            r#"SELECT s.id, COALESCE(l.until, $3) AS "until!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             WHERE s.id > $4
                 AND s.started_at < COALESCE(l.until, $3)
             ORDER BY s.id
             LIMIT $5"#,
            &sources,
            &untils,
            usual,
            after,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = found.last() else { break };
        after = last.id;
        for row in found {
            agents.extend(trim_session(connection, (row.id, row.until), now, roles, tally).await?);
        }
        agents.sort_unstable();
        agents.dedup();
    }
    if agents.is_empty() {
        return Ok(());
    }
    for agent in agents {
        let mut transaction = connection.begin().await?;
        correct_agents(&mut transaction, &[agent]).await?;
        transaction.commit().await?;
    }
    // Sessions that were too long may fit into one transaction now.
    delete_whole_sessions(connection, limits, now, tally).await
}

/// Deletes a session's expired beginning, unless it is on hold; returns its agent if anything was
/// deleted.
async fn trim_session(
    connection: &mut PgConnection,
    (session, until): (Uuid, DateTime<Utc>),
    now: DateTime<Utc>,
    roles: &Roles,
    tally: &mut Tally,
) -> Result<Option<String>, sqlx::Error> {
    let mut cut = None;
    loop {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        if is_held(&mut transaction, session).await? {
            return Ok(cut);
        }
        let mut rows = tally.clone();
        let messages = trim(&mut transaction, session, Some(until), roles, &mut rows).await?;
        let is_last = messages < BATCH_MESSAGES;
        let moved = is_last && move_start(&mut transaction, session, until, &mut rows).await?;
        if messages > 0 || moved {
            cut = append_cut_to_journal(&mut transaction, session, until, now).await?;
        }
        transaction.commit().await?;
        *tally = rows;
        if is_last {
            return Ok(cut);
        }
    }
}

async fn is_held(connection: &mut PgConnection, session: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
             SELECT
             FROM sessions AS s
             JOIN holds AS h
                 ON h.agent_id = s.agent_id AND (h.session_id IS NULL OR h.session_id = s.id)
             WHERE s.id = $1
         ) AS "held!""#,
        session,
    )
    .fetch_one(connection)
    .await
}

/// Moves a session's start to its first remaining event, and deletes older joins; returns whether
/// the start moved. A session that was joined stays joined, but the time of its join is lost.
async fn move_start(
    connection: &mut PgConnection,
    session: Uuid,
    until: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<bool, sqlx::Error> {
    let joins = sqlx::query!(
        "DELETE FROM joins WHERE session_id = $1 AND occurred_at < $2",
        session,
        until,
    )
    .execute(&mut *connection)
    .await?;
    tally.add("joins", joins.rows_affected());
    let moved = sqlx::query!(
        "UPDATE sessions AS s
         SET started_at = rest.began_at,
             joined_at = CASE WHEN s.joined_at < rest.began_at
                 THEN rest.began_at ELSE s.joined_at END,
             room_name_at = CASE WHEN s.room_name_at < rest.began_at
                 THEN rest.began_at ELSE s.room_name_at END,
             participant_count_at = CASE WHEN s.participant_count_at < rest.began_at
                 THEN rest.began_at ELSE s.participant_count_at END
         FROM (
             SELECT LEAST(
                 (
                     SELECT min(LEAST(m.occurred_at, m.received_at))
                     FROM messages AS m
                     WHERE m.session_id = $1 AND m.occurred_at >= $2
                 ),
                 (
                     SELECT min(LEAST(j.occurred_at, j.received_at))
                     FROM joins AS j
                     WHERE j.session_id = $1
                 ),
                 (SELECT last_activity_at FROM sessions WHERE id = $1)
             ) AS began_at
         ) AS rest
         WHERE s.id = $1 AND s.started_at < rest.began_at",
        session,
        until,
    )
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() > 0)
}

/// Appends a changed session and the deletion of its messages before a time to the journal; returns
/// its agent.
async fn append_cut_to_journal(
    connection: &mut PgConnection,
    session: Uuid,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Option<String>, sqlx::Error> {
    let row = sqlx::query!(
        "SELECT agent_id, sender_session_id, source FROM sessions WHERE id = $1",
        session,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let erased =
        ErasedSession { id: session, session_id: row.sender_session_id, source: row.source };
    let erasure = retention_erasure((row.agent_id.clone(), erased), now, Some(until));
    append_erasures(connection, &[erasure], &[session]).await?;
    Ok(Some(row.agent_id))
}
