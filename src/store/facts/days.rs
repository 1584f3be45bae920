//! Versions of days: readers keep the facts of a day's sessions for as long as its version stays.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Gives days another version. It belongs into the transaction that changes facts of sessions that
/// started on them.
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
        // Drawn, not counted: a restored database must not come to a version that it had before.
        Uuid::new_v4(),
    )
    .execute(connection)
    .await
    .map(drop)
}
