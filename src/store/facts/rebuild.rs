//! Begins to compute all facts anew.

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::{FactRules, HOLD};

/// Sends the follower back to the first entry of the journal, and removes facts of what is gone. Facts
/// stay readable meanwhile. Returns `false`, and changes nothing, where they are kept under other
/// rules.
pub async fn begin_rebuild(
    connection: &mut PgConnection,
    rules: &FactRules,
) -> Result<bool, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(HOLD).execute(&mut *transaction).await?;
    let reset = sqlx::query_scalar!(
        "UPDATE facts_position SET seq = 0 WHERE settings IN ($1, '') RETURNING seq",
        rules.fingerprint(),
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if reset.is_none() {
        transaction.rollback().await?;
        return Ok(false);
    }
    sqlx::query!(
        "DELETE FROM message_facts AS f
         WHERE NOT EXISTS (
             SELECT
             FROM messages AS m
             WHERE m.session_id = f.session_id AND m.occurred_at = f.occurred_at AND m.id = f.id
         )"
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "DELETE FROM presence_facts AS f
         WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = f.session_id)"
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "DELETE FROM session_facts AS f
         WHERE NOT EXISTS (SELECT FROM sessions AS s WHERE s.id = f.session_id)"
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}
