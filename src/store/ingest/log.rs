//! The log of deliveries: every arrival with its bytes and outcome.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::bulk::Bulk;
use super::row::Row;
use crate::domain::{Arrival, Generation, Outcome};

/// Reason in the log of an erased delivery.
const ERASED: &str = "it was erased";

/// Logs every arrival. An existing row keeps its first outcome: it is the same arrival, written
/// again after the database's answer got lost. An erased delivery is logged without its content.
pub(super) async fn insert(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
    outcomes: &[Outcome],
    erased: &HashSet<Uuid>,
) -> Result<(), sqlx::Error> {
    let mut sorted: Vec<(&Row<'_>, Outcome)> = rows.iter().zip(outcomes.iter().copied()).collect();
    sorted.sort_unstable_by_key(|(row, _)| (row.arrival.received_at, row.arrival.id));
    let is_erased = |row: &Row<'_>| erased.contains(&row.arrival.id.0);
    macro_rules! column {
        ($of:expr) => {
            sorted.iter().map(|(row, _)| *row).map($of).collect::<Vec<_>>()
        };
    }
    sqlx::query!(
        "INSERT INTO deliveries (
             id, received_at, source, generation, event_type, outcome, reason, session_id,
             agent_id, sender_delivery_id, signed, stale, test, body, event_id
         )
         SELECT
             UNNEST($1::uuid[]), UNNEST($2::timestamptz[]), UNNEST($3::text[]),
             UNNEST($4::text[]), UNNEST($5::text[]), UNNEST($6::text[]), UNNEST($7::text[]),
             UNNEST($8::uuid[]), UNNEST($9::text[]), UNNEST($10::text[]), UNNEST($11::boolean[]),
             UNNEST($12::boolean[]), UNNEST($13::boolean[]), UNNEST($14::bytea[]),
             UNNEST($15::uuid[])
         ON CONFLICT DO NOTHING",
        &column!(|row| row.arrival.id.0),
        &column!(|row| row.arrival.received_at),
        &column!(|row| row.arrival.source.as_str()) as _,
        &column!(|row| row.delivery().map(|one| Generation::as_str(one.generation))) as _,
        &column!(|row| row.delivery().map(|one| one.event_type.as_str())) as _,
        &sorted.iter().map(|(_, outcome)| outcome.as_str()).collect::<Vec<_>>() as _,
        &column!(|row| if is_erased(row) {
            Some(ERASED.to_owned())
        } else {
            row.fault().map(ToString::to_string)
        }) as _,
        &column!(session_of) as _,
        &column!(|row| row.delivery().and_then(|one| one.agent_id.as_deref())) as _,
        &column!(|row| row.arrival.evidence.sender_delivery_id.as_deref()) as _,
        &column!(|row| row.arrival.evidence.signed),
        &column!(|row| row.arrival.evidence.stale),
        &column!(|row| row.arrival.evidence.test),
        &Bulk(column!(|row| if is_erased(row) { &[] } else { &*row.arrival.body })) as _,
        &column!(|row| row.arrival.evidence.event_id.map(|id| id.0)) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the row of a quarantined arrival; returns false if there is none.
pub(super) async fn lock_quarantined(
    connection: &mut PgConnection,
    arrival: &Arrival,
) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        "SELECT id
         FROM deliveries
         WHERE received_at = $1 AND id = $2 AND outcome = 'quarantined'
         FOR UPDATE",
        arrival.received_at,
        arrival.id.0,
    )
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// Records the outcome of an arrival that was in quarantine.
pub(super) async fn release(
    connection: &mut PgConnection,
    row: &Row<'_>,
    outcome: Outcome,
    erased: &HashSet<Uuid>,
) -> Result<(), sqlx::Error> {
    let read = row.delivery();
    sqlx::query!(
        "UPDATE deliveries
         SET generation = $3,
             event_type = $4,
             outcome = $5,
             reason = CASE WHEN $8 THEN $9 END,
             session_id = $6,
             agent_id = $7,
             body = CASE WHEN $8 THEN '' ELSE body END
         WHERE received_at = $1 AND id = $2",
        row.arrival.received_at,
        row.arrival.id.0,
        read.map(|one| one.generation.as_str()),
        read.map(|one| one.event_type.as_str()),
        outcome.as_str(),
        session_of(row),
        read.and_then(|one| one.agent_id.as_deref()),
        erased.contains(&row.arrival.id.0),
        ERASED,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn session_of(row: &Row<'_>) -> Option<Uuid> {
    row.delivery()?.event.session().map(|session| session.id.0)
}
