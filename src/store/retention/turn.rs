//! Turn of one service to delete expired rows: a second one would only wait for the locks of the
//! first.

use sqlx::postgres::PgConnection;

const TAKE: &str = "SELECT pg_try_advisory_lock(hashtext('verbatim expired rows'))";
const END: &str = "SELECT pg_advisory_unlock(hashtext('verbatim expired rows'))";

/// Takes the turn until [`end`], or until the connection ends. Returns false if another service has
/// it.
pub(super) async fn take(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(TAKE).fetch_one(connection).await
}

/// Ends the turn. Without it Postgres would end it a moment after the connection was closed.
pub(super) async fn end(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(END).execute(connection).await.map(drop)
}
