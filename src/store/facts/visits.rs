//! Facts of visits: one row for each visit, computed from the facts of its messages.

use std::collections::BTreeSet;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// Updates the visits of sessions, after the facts of their messages. Rows that stay the same are
/// not written.
pub(super) async fn refresh(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    if session_ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO visit_facts AS v
         SELECT * FROM computed_visits WHERE session_id = ANY ($1)
         ON CONFLICT (session_id, number) DO UPDATE SET
             started_at = excluded.started_at,
             first_message_at = excluded.first_message_at,
             last_message_at = excluded.last_message_at,
             messages = excluded.messages,
             user_messages = excluded.user_messages,
             assistant_messages = excluded.assistant_messages,
             turns = excluded.turns
         WHERE v.* IS DISTINCT FROM excluded.*",
        session_ids,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM visit_facts AS v
         WHERE v.session_id = ANY ($1)
             AND v.number > (
                 SELECT count(*)
                 FROM message_facts AS f
                 WHERE f.session_id = v.session_id AND f.visit_started_at IS NOT NULL
             )",
        session_ids,
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Deletes the visits of sessions.
pub(super) async fn delete(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM visit_facts WHERE session_id = ANY ($1)", session_ids)
        .execute(connection)
        .await
        .map(drop)
}

/// Returns the sessions whose visits differ from those of their messages' facts.
pub(super) async fn different(
    connection: &mut PgConnection,
    session_ids: &[Uuid],
) -> Result<BTreeSet<Uuid>, sqlx::Error> {
    let ids = sqlx::query_scalar!(
        r#"WITH stored AS (SELECT * FROM visit_facts WHERE session_id = ANY ($1)),
         computed AS (SELECT * FROM computed_visits WHERE session_id = ANY ($1))
         SELECT session_id AS "session_id!"
         FROM (
             (TABLE stored EXCEPT TABLE computed)
             UNION ALL
             (TABLE computed EXCEPT TABLE stored)
         ) AS visits"#,
        session_ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().collect())
}
