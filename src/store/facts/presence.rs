//! Facts of joins and session ends.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::sessions::Sessions;
use super::windows::Touched;

/// Join or session end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Presence {
    occurred_at: DateTime<Utc>,
    is_join: bool,
}

/// Times of each session's joins, sorted.
pub(super) type Joins = BTreeMap<Uuid, Vec<DateTime<Utc>>>;
/// Joins and ends by session and ID.
pub(super) type Presences = BTreeMap<(Uuid, Uuid), Presence>;
/// Joins or ends of some sessions, with their keys.
type Rows<'a> = [(&'a (Uuid, Uuid), &'a Presence)];

/// Updates the facts of joins and ends, and returns the times of all joins. Marks changed times as
/// touched, since a visit may start with a join.
pub(super) async fn refresh(
    connection: &mut PgConnection,
    sessions: &Sessions,
    touched: &mut BTreeMap<Uuid, Touched>,
) -> Result<Joins, sqlx::Error> {
    let ids: Vec<Uuid> = sessions.keys().copied().collect();
    let new = read(connection, &ids).await?;
    let old = read_facts(connection, &ids).await?;
    let changed: Vec<_> =
        new.iter().filter(|(key, presence)| old.get(*key) != Some(*presence)).collect();
    let gone: Vec<_> = old.iter().filter(|(key, _)| !new.contains_key(*key)).collect();
    for ((session, id), presence) in changed.iter().chain(&gone) {
        let touched = touched.entry(*session).or_default();
        touched.add_time(presence.occurred_at);
        if let Some(before) = old.get(&(*session, *id)) {
            touched.add_time(before.occurred_at);
        }
    }
    delete(connection, &gone).await?;
    upsert(connection, sessions, &changed).await?;
    Ok(joins_of(&new))
}

/// Returns the times of joins by session, sorted.
pub(super) fn joins_of(presences: &Presences) -> Joins {
    let mut joins = Joins::new();
    for ((session, _), presence) in presences.iter().filter(|(_, presence)| presence.is_join) {
        joins.entry(*session).or_default().push(presence.occurred_at);
    }
    for times in joins.values_mut() {
        times.sort_unstable();
    }
    joins
}

/// Reads the joins and ends of sessions.
pub(super) async fn read(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Presences, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             session_id AS "session_id!", id AS "id!", occurred_at AS "occurred_at!",
             true AS "is_join!"
         FROM joins
         WHERE session_id IN (SELECT UNNEST($1::uuid[]))
         UNION ALL
         SELECT session_id, id, occurred_at, false
         FROM other_events
         WHERE session_id IN (SELECT UNNEST($1::uuid[]))"#,
        ids,
    )
    .fetch_all(connection)
    .await?;
    let presences = rows.into_iter().map(|row| {
        let presence = Presence { occurred_at: row.occurred_at, is_join: row.is_join };
        ((row.session_id, row.id), presence)
    });
    Ok(presences.collect())
}

/// Reads the facts of joins and ends.
pub(super) async fn read_facts(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Presences, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT session_id, id, occurred_at, is_join
         FROM presence_facts
         WHERE session_id IN (SELECT UNNEST($1::uuid[]))",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let presences = rows.into_iter().map(|row| {
        let presence = Presence { occurred_at: row.occurred_at, is_join: row.is_join };
        ((row.session_id, row.id), presence)
    });
    Ok(presences.collect())
}

async fn delete(connection: &mut PgConnection, gone: &Rows<'_>) -> Result<(), sqlx::Error> {
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM presence_facts AS f
         USING UNNEST($1::uuid[], $2::uuid[]) AS key (session_id, id)
         WHERE f.session_id = key.session_id AND f.id = key.id",
        &gone.iter().map(|(key, _)| key.0).collect::<Vec<_>>(),
        &gone.iter().map(|(key, _)| key.1).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn upsert(
    connection: &mut PgConnection,
    sessions: &Sessions,
    changed: &Rows<'_>,
) -> Result<(), sqlx::Error> {
    if changed.is_empty() {
        return Ok(());
    }
    let of = |(key, _): &(&(Uuid, Uuid), &Presence)| sessions.get(&key.0);
    let agents = changed.iter().map(|one| of(one).map_or("", |session| &session.agent_id));
    let sources = changed.iter().map(|one| of(one).map_or("", |session| &session.source));
    sqlx::query!(
        "INSERT INTO presence_facts (session_id, id, occurred_at, agent_id, source, is_join)
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::uuid[]), UNNEST($3::timestamptz[]),
             UNNEST($4::text[]), UNNEST($5::text[]), UNNEST($6::boolean[])
         ON CONFLICT (session_id, id) DO UPDATE SET
             occurred_at = excluded.occurred_at,
             is_join = excluded.is_join",
        &changed.iter().map(|(key, _)| key.0).collect::<Vec<_>>(),
        &changed.iter().map(|(key, _)| key.1).collect::<Vec<_>>(),
        &changed.iter().map(|(_, presence)| presence.occurred_at).collect::<Vec<_>>(),
        &agents.collect::<Vec<_>>() as _,
        &sources.collect::<Vec<_>>() as _,
        &changed.iter().map(|(_, presence)| presence.is_join).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
