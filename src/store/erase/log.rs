//! Deliveries of what is erased: out of the log with their bytes, and out of quarantine.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{Receipt, note};
use crate::store::page::BEFORE_ALL;

/// Deliveries that go in one transaction.
const BATCH: i64 = 1_000;
/// Bodies that are looked into at once: with 1 MiB each still a moment's work.
const BATCH_BODIES: i64 = 100;

/// Keeps the jobs that move deliveries about away while rows are looked for.
const UNMOVED: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('verbatim partitions'))";

/// A place in the log.
type Place = (DateTime<Utc>, Uuid);

const START: Place = (BEFORE_ALL, Uuid::nil());

pub(super) async fn erase(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
) -> Result<(), sqlx::Error> {
    let mut after = Some(START);
    while let Some(place) = after {
        after = erase_named(connection, receipt, place).await?;
    }
    let mut after = Some(START);
    while let Some(place) = after {
        after = erase_quarantined(connection, receipt, place).await?;
    }
    Ok(())
}

/// One walk along the log, a batch a transaction: deliveries are not indexed by their session, which
/// would cost every delivery for the sake of a few erasures. What was logged as erased stays.
async fn erase_named(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    (at, id): Place,
) -> Result<Option<Place>, sqlx::Error> {
    let mut transaction = connection.begin_with(UNMOVED).await?;
    let gone = sqlx::query!(
        "DELETE FROM deliveries
         WHERE (received_at, id) IN (
             SELECT received_at, id
             FROM deliveries
             WHERE (received_at, id) > ($1, $2)
                 AND received_at <= $3
                 AND ($4::uuid IS NULL OR session_id = $4)
                 AND agent_id = $5
             ORDER BY received_at, id
             LIMIT $6
         )
         RETURNING received_at, id",
        at,
        id,
        receipt.erased_at,
        receipt.session.as_ref().map(|session| session.id),
        receipt.agent_id,
        BATCH,
    )
    .fetch_all(&mut *transaction)
    .await?;
    receipt.rows.add("deliveries", gone.len() as u64);
    note(&mut transaction, receipt).await?;
    transaction.commit().await?;
    let last = gone.iter().map(|row| (row.received_at, row.id)).max();
    Ok(last.filter(|_| i64::try_from(gone.len()) == Ok(BATCH)))
}

/// What cannot be read has no session, so its bytes are searched for the name.
async fn erase_quarantined(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
    (at, id): Place,
) -> Result<Option<Place>, sqlx::Error> {
    let names = receipt.names();
    let mut transaction = connection.begin_with(UNMOVED).await?;
    let rows = sqlx::query!(
        "SELECT received_at, id, body
         FROM deliveries
         WHERE outcome <> 'stored'
             AND outcome = 'quarantined'
             AND (received_at, id) > ($1, $2)
             AND received_at <= $3
             AND ($4::text IS NULL OR source = $4)
         ORDER BY received_at, id
         LIMIT $5",
        at,
        id,
        receipt.erased_at,
        receipt.session.as_ref().map(|session| session.source.as_str()),
        BATCH_BODIES,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let condemned: Vec<_> = rows.iter().filter(|row| names.stand_in(&row.body)).collect();
    if !condemned.is_empty() {
        let gone = sqlx::query!(
            "DELETE FROM deliveries
             WHERE (received_at, id) IN (SELECT * FROM UNNEST($1::timestamptz[], $2::uuid[]))
                 AND outcome = 'quarantined'",
            &condemned.iter().map(|row| row.received_at).collect::<Vec<_>>(),
            &condemned.iter().map(|row| row.id).collect::<Vec<_>>(),
        )
        .execute(&mut *transaction)
        .await?;
        receipt.rows.add("deliveries", gone.rows_affected());
        note(&mut transaction, receipt).await?;
    }
    transaction.commit().await?;
    let last = rows.last().map(|row| (row.received_at, row.id));
    Ok(last.filter(|_| i64::try_from(rows.len()) == Ok(BATCH_BODIES)))
}
