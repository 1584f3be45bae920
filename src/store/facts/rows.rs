//! Rows of `message_facts`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::activity::Difference;
use super::sessions::Sessions;
use super::sums::Counted;
use super::windows::Windows;
use crate::analytics::facts::MessageFact;

/// Session, time and ID of a message.
type Key = (Uuid, DateTime<Utc>, Uuid);
/// Facts of messages by their keys.
pub(super) type Facts = BTreeMap<Key, MessageFact>;

/// Reads the stored facts in the windows.
pub(super) async fn read(
    connection: &mut PgConnection,
    windows: &Windows,
) -> Result<Facts, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT
             f.session_id AS "session_id!",
             f.occurred_at AS "occurred_at!",
             f.id AS "id!",
             f.tie AS "tie!",
             f.role AS "role!",
             f.visit_started_at,
             f.silence_us,
             f.starts_turn AS "starts_turn!",
             f.is_reply AS "is_reply!",
             f.repeats_turn AS "repeats_turn!",
             f.out_of_order AS "out_of_order!",
             f.altered AS "altered!",
             f.undated AS "undated!"
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::timestamptz[])
             AS w (session_id, from_at, to_at)
         JOIN message_facts AS f
             ON f.session_id = w.session_id AND f.occurred_at BETWEEN w.from_at AND w.to_at"#,
        &windows.sessions,
        &windows.from,
        &windows.to,
    )
    .fetch_all(connection)
    .await?;
    let facts = rows.into_iter().map(|row| {
        let fact = MessageFact {
            occurred_at: row.occurred_at,
            id: row.id,
            tie: row.tie,
            role: row.role,
            visit_started_at: row.visit_started_at,
            silence_us: row.silence_us,
            starts_turn: row.starts_turn,
            is_reply: row.is_reply,
            repeats_turn: row.repeats_turn,
            out_of_order: row.out_of_order,
            altered: row.altered,
            undated: row.undated,
        };
        ((row.session_id, row.occurred_at, row.id), fact)
    });
    Ok(facts.collect())
}

/// Replaces old facts with new ones. Equal facts are not written.
pub(super) async fn replace(
    connection: &mut PgConnection,
    sessions: &Sessions,
    old: &Facts,
    new: &Facts,
    difference: &mut Difference,
) -> Result<(), sqlx::Error> {
    for (key, fact) in old {
        if let Some(session) = sessions.get(&key.0).filter(|_| new.get(key) != Some(fact)) {
            difference.remove_message(&session.agent_id, &session.source, &fact.into());
        }
    }
    let gone: Vec<Key> = old.keys().filter(|key| !new.contains_key(*key)).copied().collect();
    delete(connection, &gone).await?;
    let changed = new.iter().filter(|(key, fact)| old.get(*key) != Some(*fact));
    let changed: Vec<_> = changed.collect();
    for (key, fact) in &changed {
        if let Some(session) = sessions.get(&key.0) {
            difference.add_message(&session.agent_id, &session.source, &Counted::from(*fact));
        }
    }
    upsert(connection, sessions, &changed).await
}

async fn delete(connection: &mut PgConnection, keys: &[Key]) -> Result<(), sqlx::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM message_facts AS f
         USING UNNEST($1::uuid[], $2::timestamptz[], $3::uuid[])
             AS key (session_id, occurred_at, id)
         WHERE f.session_id = key.session_id
             AND f.occurred_at = key.occurred_at
             AND f.id = key.id",
        &keys.iter().map(|key| key.0).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.1).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.2).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn upsert(
    connection: &mut PgConnection,
    sessions: &Sessions,
    facts: &[(&Key, &MessageFact)],
) -> Result<(), sqlx::Error> {
    macro_rules! column {
        ($of:expr) => {
            facts.iter().map(|(_, fact)| fact).map($of).collect::<Vec<_>>()
        };
    }
    let ids: Vec<Uuid> = facts.iter().map(|(key, _)| key.0).collect();
    let session = |id: &Uuid| sessions.get(id);
    let agents = ids.iter().map(|id| session(id).map_or("", |session| &session.agent_id));
    let sources = ids.iter().map(|id| session(id).map_or("", |session| &session.source));
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO message_facts (
             session_id, occurred_at, id, agent_id, source, tie, role, visit_started_at, silence_us,
             starts_turn, is_reply, repeats_turn, out_of_order, altered, undated
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::timestamptz[]), UNNEST($3::uuid[]),
             UNNEST($4::text[]), UNNEST($5::text[]), UNNEST($6::integer[]), UNNEST($7::text[]),
             UNNEST($8::timestamptz[]), UNNEST($9::bigint[]), UNNEST($10::boolean[]),
             UNNEST($11::boolean[]), UNNEST($12::boolean[]), UNNEST($13::boolean[]),
             UNNEST($14::boolean[]), UNNEST($15::boolean[])
         ON CONFLICT (session_id, occurred_at, id) DO UPDATE SET
             tie = excluded.tie,
             role = excluded.role,
             visit_started_at = excluded.visit_started_at,
             silence_us = excluded.silence_us,
             starts_turn = excluded.starts_turn,
             is_reply = excluded.is_reply,
             repeats_turn = excluded.repeats_turn,
             out_of_order = excluded.out_of_order,
             altered = excluded.altered,
             undated = excluded.undated",
        &ids,
        &column!(|fact| fact.occurred_at),
        &column!(|fact| fact.id),
        &agents.collect::<Vec<_>>() as _,
        &sources.collect::<Vec<_>>() as _,
        &column!(|fact| fact.tie),
        &column!(|fact| fact.role.as_str()) as _,
        &column!(|fact| fact.visit_started_at) as _,
        &column!(|fact| fact.silence_us) as _,
        &column!(|fact| fact.starts_turn),
        &column!(|fact| fact.is_reply),
        &column!(|fact| fact.repeats_turn),
        &column!(|fact| fact.out_of_order),
        &column!(|fact| fact.altered),
        &column!(|fact| fact.undated),
    )
    .execute(connection)
    .await?;
    Ok(())
}
