//! The log of deliveries: every arrival, its bytes, and what became of it.

use sqlx::postgres::PgConnection;

use super::Row;
use crate::domain::{Generation, Outcome};

/// Logs every arrival. One that is there already keeps its first outcome: it is the same arrival,
/// written again after an answer that got lost.
pub(super) async fn insert(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
    outcome: impl Fn(&Row<'_>) -> Outcome,
) -> Result<(), sqlx::Error> {
    let mut sorted: Vec<&Row<'_>> = rows.iter().collect();
    sorted.sort_unstable_by_key(|row| (row.arrival.id, row.arrival.received_at));
    macro_rules! column {
        ($of:expr) => {
            sorted.iter().copied().map($of).collect::<Vec<_>>()
        };
    }
    let session = |row: &Row<'_>| row.delivery()?.event.session().map(|session| session.id.0);
    sqlx::query!(
        "INSERT INTO deliveries (
             id, received_at, source, generation, event_type, outcome, reason, session_id,
             agent_id, sender_delivery_id, signed, stale, test, body
         )
         SELECT * FROM UNNEST(
             $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[],
             $7::text[], $8::uuid[], $9::text[], $10::text[], $11::boolean[], $12::boolean[],
             $13::boolean[], $14::bytea[]
         )
         ON CONFLICT DO NOTHING",
        &column!(|row| row.arrival.id.0),
        &column!(|row| row.arrival.received_at),
        &column!(|row| row.arrival.source.as_str()) as _,
        &column!(|row| row.delivery().map(|one| Generation::as_str(one.generation))) as _,
        &column!(|row| row.delivery().map(|one| one.event_type.as_str())) as _,
        &column!(|row| outcome(row).as_str()) as _,
        &column!(|row| row.fault().map(ToString::to_string)) as _,
        &column!(session) as _,
        &column!(|row| row.delivery().and_then(|one| one.agent_id.as_deref())) as _,
        &column!(|row| row.arrival.evidence.sender_delivery_id.as_deref()) as _,
        &column!(|row| row.arrival.evidence.signed),
        &column!(|row| row.arrival.evidence.stale),
        &column!(|row| row.arrival.evidence.test),
        &column!(|row| &*row.arrival.body) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}
