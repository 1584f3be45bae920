//! Removes the facts of sessions that are gone.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::HOLD;

/// Removes the facts of sessions. It belongs into the transaction that removes their rows: no fact
/// of them is written once that has committed.
pub(in crate::store) async fn forget_sessions(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(HOLD).execute(&mut *connection).await?;
    delete(connection, session_ids).await
}

/// Removes facts; the caller holds the position.
pub(super) async fn delete(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    if session_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!("DELETE FROM message_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM presence_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM session_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(connection)
        .await?;
    Ok(())
}
