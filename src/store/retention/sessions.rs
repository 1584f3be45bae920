//! Deletes whole sessions whose last activity is expired.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::limits::Limits;
use crate::domain::DeliveryId;
use crate::store::erase::{
    BATCH_MESSAGES, BATCH_SESSIONS, DELETING, Tally, correct_agents, delete_sessions,
};
use crate::store::facts;
use crate::store::ingest::journal::append_erasures;
use crate::store::journal::{ErasedSession, Erasure, ErasureKind};
use crate::store::page::BEFORE_ALL;

/// Deletes expired sessions that are short enough for one transaction.
pub(super) async fn delete_whole_sessions(
    connection: &mut PgConnection,
    limits: &Limits,
    now: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<(), sqlx::Error> {
    let (sources, untils, usual) = limits.parts();
    let mut after = (BEFORE_ALL, Uuid::nil());
    let mut agents = Vec::new();
    loop {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(facts::LOCK_FACTS).execute(&mut *transaction).await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let found = sqlx::query!(
            "SELECT s.id, s.activity_bucket
             FROM sessions AS s
             WHERE s.activity_bucket <= $4
                 AND (s.activity_bucket, s.id) > ($5, $6)
                 AND s.last_activity_at < COALESCE(
                     (
                         SELECT l.until
                         FROM UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                         WHERE l.source = s.source
                     ),
                     $3
                 )
                 AND s.message_count <= $7
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             ORDER BY s.activity_bucket, s.id
             LIMIT $8",
            &sources,
            &untils,
            usual,
            limits.latest(),
            after.0,
            after.1,
            BATCH_MESSAGES,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = found.iter().map(|row| (row.activity_bucket, row.id)).max() else { break };
        after = last;
        let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
        let ids = lock_expired(&mut transaction, &ids, limits).await?;
        let mut rows = tally.clone();
        let gone = delete_sessions(&mut transaction, &ids, &mut rows).await?;
        let erasures: Vec<_> =
            gone.sessions.into_iter().map(|one| retention_erasure(one, now, None)).collect();
        append_erasures(&mut transaction, &erasures, &[]).await?;
        transaction.commit().await?;
        *tally = rows;
        agents.extend(gone.agents);
        agents.sort_unstable();
        agents.dedup();
    }
    for agent in agents {
        let mut transaction = connection.begin().await?;
        correct_agents(&mut transaction, &[agent]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Locks sessions in the writer's order, and returns those that are still expired.
async fn lock_expired(
    connection: &mut PgConnection,
    ids: &[Uuid],
    limits: &Limits,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, source, last_activity_at
         FROM sessions
         WHERE id = ANY ($1)
         ORDER BY id
         FOR UPDATE",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let old = rows.into_iter().filter(|row| Some(row.last_activity_at) < limits.of(&row.source));
    Ok(old.map(|row| row.id).collect())
}

/// Returns the journal item of an expired session, or of its messages before a time.
pub(super) fn retention_erasure(
    (agent_id, session): (String, ErasedSession),
    at: DateTime<Utc>,
    before: Option<DateTime<Utc>>,
) -> Erasure {
    let (id, kind) = (DeliveryId::new(at).0, ErasureKind::Retention);
    Erasure { id, kind, agent_id, session: Some(session), at, before }
}
