//! The last activity of sessions, recomputed from their events: merging can only make it later.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::domain::session::activity_bucket;

/// Recomputes the last activity and the last end of sessions, whose rows are locked already.
pub(super) async fn recompute(
    connection: &mut PgConnection,
    sessions: &[Uuid],
) -> Result<(), sqlx::Error> {
    let found = sqlx::query!(
        r#"SELECT
             wanted.id AS "id!",
             max(LEAST(e.occurred_at, e.received_at)) AS "last_activity_at!",
             max(e.occurred_at) AS "last_event_at!"
         FROM UNNEST($1::uuid[]) AS wanted (id)
         CROSS JOIN LATERAL (
             SELECT occurred_at, received_at FROM messages WHERE session_id = wanted.id
             UNION ALL
             SELECT occurred_at, received_at FROM joins WHERE session_id = wanted.id
             UNION ALL
             SELECT occurred_at, received_at FROM other_events WHERE session_id = wanted.id
         ) AS e
         GROUP BY wanted.id
         ORDER BY wanted.id"#,
        sessions,
    )
    .fetch_all(&mut *connection)
    .await?;
    let buckets: Vec<_> = found.iter().map(|row| activity_bucket(row.last_activity_at)).collect();
    sqlx::query!(
        "UPDATE sessions AS s
         SET last_activity_at = seen.last_activity_at,
             last_event_at = seen.last_event_at,
             activity_bucket = seen.activity_bucket
         FROM UNNEST($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[])
             AS seen (id, last_activity_at, last_event_at, activity_bucket)
         WHERE s.id = seen.id",
        &found.iter().map(|row| row.id).collect::<Vec<_>>(),
        &found.iter().map(|row| row.last_activity_at).collect::<Vec<_>>(),
        &found.iter().map(|row| row.last_event_at).collect::<Vec<_>>(),
        &buckets,
    )
    .execute(&mut *connection)
    .await?;
    // Earlier versions stored no reason with an end: the session's reason is then the right one.
    sqlx::query!(
        r#"UPDATE sessions AS s
         SET last_end_at = ends.at,
             last_end_reason = CASE
                 WHEN ends.reason IS NULL THEN s.last_end_reason
                 ELSE NULLIF(ends.reason, '')
             END
         FROM (
             SELECT DISTINCT ON (session_id)
                 session_id,
                 LEAST(occurred_at, received_at) AS at,
                 end_reason AS reason
             FROM other_events
             WHERE session_id = ANY ($1)
                 AND event_type IN ('session_end', 'session.end')
             ORDER BY session_id, at DESC, COALESCE(end_reason, '') COLLATE "C" DESC
         ) AS ends
         WHERE s.id = ends.session_id
             AND s.last_end_at IS NOT NULL"#,
        sessions,
    )
    .execute(connection)
    .await?;
    Ok(())
}
