//! Inserts a row for each new event.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::bulk::Bulk;
use super::row::Readable;
use crate::domain::Event;

/// Inserts the events and returns the IDs of the new ones. Messages with an ID in
/// `guarded` are not new.
pub(super) async fn insert(
    connection: &mut PgConnection,
    events: &[Readable<'_>],
    guarded: &HashSet<Uuid>,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let (mut messages, mut joins, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for one in events {
        match &one.delivery.event {
            Event::Message { .. } if guarded.contains(&one.id) => {}
            Event::Message { .. } => messages.push(*one),
            Event::Join { .. } => joins.push(*one),
            _ => others.push(*one),
        }
    }
    let mut new = HashSet::with_capacity(events.len());
    new.extend(insert_messages(connection, messages).await?);
    new.extend(insert_joins(connection, joins).await?);
    new.extend(insert_others(connection, others).await?);
    Ok(new)
}

async fn insert_messages(
    connection: &mut PgConnection,
    mut messages: Vec<Readable<'_>>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    messages.sort_unstable_by_key(|one| (one.session(), one.occurred_at, one.id));
    let size = messages.len();
    let mut sessions = Vec::with_capacity(size);
    let mut roles = Vec::with_capacity(size);
    let mut texts = Vec::with_capacity(size);
    let mut altered_texts = Vec::with_capacity(size);
    for one in &messages {
        if let Event::Message { session, role, message, altered } = &one.delivery.event {
            sessions.push(session.id.0);
            roles.push(role.as_str());
            texts.push(message.as_str());
            altered_texts.push(*altered);
        }
    }
    let Common { ids, deliveries, occurred_at, received_at, undated } = Common::of(&messages);
    let sent_at: Vec<_> = messages.iter().map(|one| one.delivery.sent_at).collect();
    sqlx::query_scalar!(
        "INSERT INTO messages (
             session_id, occurred_at, id, delivery_id, role, message, sent_at, received_at,
             altered, undated
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::timestamptz[]), UNNEST($3::uuid[]),
             UNNEST($4::uuid[]), UNNEST($5::text[]), UNNEST($6::text[]),
             UNNEST($7::timestamptz[]), UNNEST($8::timestamptz[]), UNNEST($9::boolean[]),
             UNNEST($10::boolean[])
         ON CONFLICT DO NOTHING
         RETURNING id",
        &sessions,
        &occurred_at,
        &ids,
        &deliveries,
        &roles as _,
        &Bulk(texts) as _,
        &sent_at as _,
        &received_at,
        &altered_texts,
        &undated,
    )
    .fetch_all(connection)
    .await
}

async fn insert_joins(
    connection: &mut PgConnection,
    mut joins: Vec<Readable<'_>>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if joins.is_empty() {
        return Ok(Vec::new());
    }
    joins.sort_unstable_by_key(|one| (one.session(), one.id));
    let mut sessions = Vec::with_capacity(joins.len());
    let mut rooms = Vec::with_capacity(joins.len());
    let mut counts = Vec::with_capacity(joins.len());
    for one in &joins {
        if let Event::Join { session, room_name, participant_count } = &one.delivery.event {
            sessions.push(session.id.0);
            rooms.push(room_name.as_deref());
            counts.push(*participant_count);
        }
    }
    let Common { ids, deliveries, occurred_at, received_at, undated } = Common::of(&joins);
    sqlx::query_scalar!(
        "INSERT INTO joins (
             session_id, id, delivery_id, occurred_at, received_at, room_name, participant_count,
             undated
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::uuid[]), UNNEST($3::uuid[]),
             UNNEST($4::timestamptz[]), UNNEST($5::timestamptz[]), UNNEST($6::text[]),
             UNNEST($7::integer[]), UNNEST($8::boolean[])
         ON CONFLICT DO NOTHING
         RETURNING id",
        &sessions,
        &ids,
        &deliveries,
        &occurred_at,
        &received_at,
        &rooms as _,
        &counts as _,
        &undated,
    )
    .fetch_all(connection)
    .await
}

async fn insert_others(
    connection: &mut PgConnection,
    mut others: Vec<Readable<'_>>,
) -> Result<Vec<Uuid>, sqlx::Error> {
    if others.is_empty() {
        return Ok(Vec::new());
    }
    others.sort_unstable_by_key(|one| one.id);
    let column = |of: fn(&Readable<'_>) -> String| others.iter().map(of).collect::<Vec<_>>();
    let sources = column(|one| one.arrival.source.to_string());
    let types = column(|one| one.delivery.event_type.clone());
    let agents: Vec<_> = others.iter().map(|one| one.delivery.agent_id.as_deref()).collect();
    let sessions: Vec<_> = others.iter().map(Readable::session).collect();
    let reasons: Vec<_> = others.iter().map(end_reason).collect();
    let Common { ids, deliveries, occurred_at, received_at, .. } = Common::of(&others);
    sqlx::query_scalar!(
        "INSERT INTO other_events (
             id, delivery_id, source, event_type, agent_id, session_id, occurred_at, received_at,
             end_reason
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::uuid[]), UNNEST($3::text[]), UNNEST($4::text[]),
             UNNEST($5::text[]), UNNEST($6::uuid[]), UNNEST($7::timestamptz[]),
             UNNEST($8::timestamptz[]), UNNEST($9::text[])
         ON CONFLICT DO NOTHING
         RETURNING id",
        &ids,
        &deliveries,
        &sources,
        &types,
        &agents as _,
        &sessions as _,
        &occurred_at,
        &received_at,
        &reasons as _,
    )
    .fetch_all(connection)
    .await
}

/// Columns that every kind of event has.
struct Common {
    ids: Vec<Uuid>,
    deliveries: Vec<Uuid>,
    occurred_at: Vec<DateTime<Utc>>,
    received_at: Vec<DateTime<Utc>>,
    undated: Vec<bool>,
}

impl Common {
    fn of(events: &[Readable<'_>]) -> Self {
        Self {
            ids: events.iter().map(|one| one.id).collect(),
            deliveries: events.iter().map(|one| one.arrival.id.0).collect(),
            occurred_at: events.iter().map(|one| one.occurred_at).collect(),
            received_at: events.iter().map(|one| one.arrival.received_at).collect(),
            undated: events.iter().map(|one| one.delivery.undated).collect(),
        }
    }
}

/// Returns an empty text for an end without a reason: null is what earlier versions stored.
fn end_reason<'a>(one: &Readable<'a>) -> Option<&'a str> {
    match &one.delivery.event {
        Event::End { reason, .. } => Some(reason.as_deref().unwrap_or_default()),
        _ => None,
    }
}
