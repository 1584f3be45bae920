//! Sessions that are not over age, and begin with what is: they are cut, and begin later.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{Limits, drop_whole, retired};
use crate::domain::Roles;
use crate::store::erase::{BATCH_MESSAGES, BATCH_SESSIONS, DELETING, Tally, correct_agents, trim};
use crate::store::ingest::journal::append_erasures;
use crate::store::journal::ErasedSession;

/// Deletes messages that are over age, of sessions that are not, or are too long to go at once.
pub(super) async fn drop_parts(
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
            agents.extend(cut(connection, (row.id, row.until), now, roles, tally).await?);
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
    // Those that were too long are so no more.
    drop_whole(connection, limits, now, tally).await
}

/// Cuts what is over age off a session's beginning, unless it is held; returns its agent where
/// there was anything.
async fn cut(
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
        let moved = is_last && begin_later(&mut transaction, session, until, &mut rows).await?;
        if messages > 0 || moved {
            cut = tell_of_cut(&mut transaction, session, until, now).await?;
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

/// Lets a session begin with the first thing that is left of it, and deletes older joins; returns
/// whether it began earlier. One that began with a join still does: that it was joined is
/// known, when is not any more.
async fn begin_later(
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

/// Tells those who follow along of a session that has changed, and of which what was said before a
/// time is gone; returns its agent.
async fn tell_of_cut(
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
    let told = retired((row.agent_id.clone(), erased), now, Some(until));
    append_erasures(connection, &[told], &[session]).await?;
    Ok(Some(row.agent_id))
}
