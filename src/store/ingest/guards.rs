//! Guards of undated messages, whose duplicates the key of `messages` does not recognise.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::row::Readable;
use crate::domain::Event;

/// Inserts a guard for each undated message, and returns the IDs whose guards existed before.
///
/// An undated message has the time of its arrival, which differs between duplicates, so its ID alone
/// decides.
pub(super) async fn guard(
    connection: &mut PgConnection,
    events: &[Readable<'_>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let undated = events
        .iter()
        .filter(|one| one.delivery.undated && matches!(one.delivery.event, Event::Message { .. }));
    let mut guards: Vec<_> = undated.filter_map(|one| Some((one.session()?, one.id))).collect();
    if guards.is_empty() {
        return Ok(HashSet::new());
    }
    // In one order, so that two writers do not wait for each other.
    guards.sort_unstable();
    let (sessions, ids): (Vec<Uuid>, Vec<Uuid>) = guards.into_iter().unzip();
    let new = sqlx::query_scalar!(
        "INSERT INTO guarded_messages (session_id, id)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[])
         ON CONFLICT DO NOTHING
         RETURNING id",
        &sessions,
        &ids,
    )
    .fetch_all(connection)
    .await?;
    let new: HashSet<Uuid> = new.into_iter().collect();
    Ok(ids.into_iter().filter(|id| !new.contains(id)).collect())
}
