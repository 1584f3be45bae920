//! Versions of days. Readers cache the facts of a day's sessions until its version changes.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Sets new versions of days. Must run in the transaction that changes facts of sessions that
/// started on these days.
pub(super) async fn mark(
    connection: &mut PgConnection,
    days: &BTreeSet<NaiveDate>,
) -> Result<(), sqlx::Error> {
    if days.is_empty() {
        return Ok(());
    }
    let days: Vec<NaiveDate> = days.iter().copied().collect();
    sqlx::query!(
        "INSERT INTO session_fact_days (day, version)
         SELECT UNNEST($1::date[]), $2
         ON CONFLICT (day) DO UPDATE SET version = excluded.version",
        &days,
        // Random, not a counter: a restored database must not reuse a version.
        Uuid::new_v4(),
    )
    .execute(connection)
    .await
    .map(drop)
}
