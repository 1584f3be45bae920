//! Duplicates that arrived before the stored copy. The first arrival counts, in whatever order the
//! copies are written. An event without a time moves to its first arrival.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::row::Readable;
use crate::domain::Event;
use crate::store::journal::MessageKey;
use crate::store::search;

/// Corrects the stored rows, and returns the duplicates that arrived first.
pub(super) async fn correct<'a>(
    connection: &mut PgConnection,
    duplicates: Vec<Readable<'a>>,
) -> Result<Vec<Readable<'a>>, sqlx::Error> {
    let (mut dated, mut undated, mut joins, mut others) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in duplicates {
        match one.delivery.event {
            Event::Message { .. } if one.delivery.undated => undated.push(one),
            Event::Message { .. } => dated.push(one),
            Event::Join { .. } => joins.push(one),
            _ => others.push(one),
        }
    }
    let mut first = correct_messages(connection, dated).await?;
    first.extend(move_messages(connection, undated).await?);
    first.extend(correct_joins(connection, joins).await?);
    first.extend(correct_others(connection, others).await?);
    Ok(first)
}

/// Events as columns, in the order in which rows are locked.
struct Columns {
    sessions: Vec<Option<Uuid>>,
    times: Vec<DateTime<Utc>>,
    ids: Vec<Uuid>,
    received_at: Vec<DateTime<Utc>>,
    deliveries: Vec<Uuid>,
    undated: Vec<bool>,
}

impl Columns {
    fn of(events: &mut [Readable<'_>]) -> Self {
        events.sort_unstable_by_key(|one| (one.session(), one.occurred_at, one.id));
        Self {
            sessions: events.iter().map(Readable::session).collect(),
            times: events.iter().map(|one| one.occurred_at).collect(),
            ids: events.iter().map(|one| one.id).collect(),
            received_at: events.iter().map(|one| one.arrival.received_at).collect(),
            deliveries: events.iter().map(|one| one.arrival.id.0).collect(),
            undated: events.iter().map(|one| one.delivery.undated).collect(),
        }
    }
}

/// Returns the events with these IDs.
fn with_ids<'a>(events: Vec<Readable<'a>>, ids: &[Uuid]) -> Vec<Readable<'a>> {
    events.into_iter().filter(|one| ids.contains(&one.id)).collect()
}

async fn correct_messages<'a>(
    connection: &mut PgConnection,
    mut events: Vec<Readable<'a>>,
) -> Result<Vec<Readable<'a>>, sqlx::Error> {
    let columns = Columns::of(&mut events);
    let (Some(first), Some(last)) = (columns.times.iter().min(), columns.times.iter().max()) else {
        return Ok(events);
    };
    let ids = sqlx::query_scalar!(
        "UPDATE messages AS m
         SET received_at = k.received_at,
             delivery_id = k.delivery_id
         FROM UNNEST(
             $1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::uuid[]
         ) AS k (session_id, occurred_at, id, received_at, delivery_id)
         WHERE m.session_id = k.session_id
             AND m.occurred_at = k.occurred_at
             AND m.id = k.id
             AND m.occurred_at BETWEEN $6 AND $7
             AND m.received_at > k.received_at
         RETURNING m.id",
        &columns.sessions as _,
        &columns.times,
        &columns.ids,
        &columns.received_at,
        &columns.deliveries,
        first,
        last,
    )
    .fetch_all(connection)
    .await?;
    Ok(with_ids(events, &ids))
}

/// Moves messages without a time to their first arrival. Their key changes, so their search
/// documents are rebuilt.
async fn move_messages<'a>(
    connection: &mut PgConnection,
    mut events: Vec<Readable<'a>>,
) -> Result<Vec<Readable<'a>>, sqlx::Error> {
    let columns = Columns::of(&mut events);
    if events.is_empty() {
        return Ok(events);
    }
    // Locked before they are moved: a concurrent second move then reads the new time.
    let stored = sqlx::query!(
        r#"SELECT m.session_id AS "session_id!", m.occurred_at AS "occurred_at!", m.id AS "id!"
         FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[])
             AS k (session_id, id, received_at, delivery_id)
         JOIN messages AS m USING (session_id, id)
         WHERE m.undated
             AND m.received_at > k.received_at
         ORDER BY m.session_id, m.occurred_at, m.id
         FOR UPDATE OF m"#,
        &columns.sessions as _,
        &columns.ids,
        &columns.received_at,
        &columns.deliveries,
    )
    .fetch_all(&mut *connection)
    .await?;
    let keys: HashMap<Uuid, MessageKey> = stored
        .into_iter()
        .map(|row| {
            let (session_id, occurred_at, id) = (row.session_id, row.occurred_at, row.id);
            (id, MessageKey { session_id, occurred_at, id })
        })
        .collect();
    let moved: Vec<_> = events.into_iter().filter(|one| keys.contains_key(&one.id)).collect();
    if moved.is_empty() {
        return Ok(moved);
    }
    let old: Vec<MessageKey> = moved.iter().filter_map(|one| keys.get(&one.id)).copied().collect();
    search::forget_messages(connection, &old).await?;
    sqlx::query!(
        "UPDATE messages AS m
         SET occurred_at = k.received_at,
             received_at = k.received_at,
             delivery_id = k.delivery_id
         FROM UNNEST(
             $1::uuid[], $2::timestamptz[], $3::uuid[], $4::timestamptz[], $5::uuid[]
         ) AS k (session_id, occurred_at, id, received_at, delivery_id)
         WHERE m.session_id = k.session_id
             AND m.occurred_at = k.occurred_at
             AND m.id = k.id",
        &old.iter().map(|key| key.session_id).collect::<Vec<_>>(),
        &old.iter().map(|key| key.occurred_at).collect::<Vec<_>>(),
        &old.iter().map(|key| key.id).collect::<Vec<_>>(),
        &moved.iter().map(|one| one.arrival.received_at).collect::<Vec<_>>(),
        &moved.iter().map(|one| one.arrival.id.0).collect::<Vec<_>>(),
    )
    .execute(connection)
    .await?;
    Ok(moved)
}

async fn correct_joins<'a>(
    connection: &mut PgConnection,
    mut events: Vec<Readable<'a>>,
) -> Result<Vec<Readable<'a>>, sqlx::Error> {
    let columns = Columns::of(&mut events);
    if events.is_empty() {
        return Ok(events);
    }
    let ids = sqlx::query_scalar!(
        "UPDATE joins AS j
         SET occurred_at = CASE WHEN k.undated THEN k.received_at ELSE j.occurred_at END,
             received_at = k.received_at,
             delivery_id = k.delivery_id
         FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[], $5::boolean[])
             AS k (session_id, id, received_at, delivery_id, undated)
         WHERE j.session_id = k.session_id
             AND j.id = k.id
             AND j.received_at > k.received_at
         RETURNING j.id",
        &columns.sessions as _,
        &columns.ids,
        &columns.received_at,
        &columns.deliveries,
        &columns.undated,
    )
    .fetch_all(connection)
    .await?;
    Ok(with_ids(events, &ids))
}

async fn correct_others<'a>(
    connection: &mut PgConnection,
    mut events: Vec<Readable<'a>>,
) -> Result<Vec<Readable<'a>>, sqlx::Error> {
    let columns = Columns::of(&mut events);
    if events.is_empty() {
        return Ok(events);
    }
    let ids = sqlx::query_scalar!(
        "UPDATE other_events AS e
         SET occurred_at = CASE WHEN k.undated THEN k.received_at ELSE e.occurred_at END,
             received_at = k.received_at,
             delivery_id = k.delivery_id
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::uuid[], $4::boolean[])
             AS k (id, received_at, delivery_id, undated)
         WHERE e.id = k.id
             AND e.received_at > k.received_at
         RETURNING e.id",
        &columns.ids,
        &columns.received_at,
        &columns.deliveries,
        &columns.undated,
    )
    .fetch_all(connection)
    .await?;
    Ok(with_ids(events, &ids))
}
