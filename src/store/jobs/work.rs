//! The worker's side of a job: claim, progress, end.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::{JobRow, Progress};
use crate::store::{Store, StoreError};

/// A service whose last heartbeat is older loses its job.
pub const REPORTS_COUNT_FOR: TimeDelta = TimeDelta::seconds(60);
/// Retention of ended jobs.
const RETENTION: TimeDelta = TimeDelta::days(30);
/// Most jobs that are retained.
const MAX_RETAINED: i64 = 1_000;

impl Store {
    /// Claims the oldest job that no live service runs, or that this service runs.
    pub async fn claim_job(
        &self,
        service: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Option<JobRow>, StoreError> {
        let claimed = query_as!(
            JobRow,
            "UPDATE jobs
             SET state = 'running',
                 service = $1,
                 heartbeat_at = $2,
                 started_at = COALESCE(started_at, $2)
             WHERE id = (
                 SELECT id
                 FROM jobs
                 WHERE state = 'waiting'
                     OR (
                         state = 'running'
                         AND (service = $1 OR heartbeat_at IS NULL OR heartbeat_at < $3)
                     )
                 ORDER BY created_at, id
                 LIMIT 1
                 FOR UPDATE SKIP LOCKED
             )
             RETURNING
                 id, kind, state, filter, created_at, started_at, finished_at, total, done, stored,
                 still_quarantined, last_error, reached_at, reached_id",
            service,
            now,
            now - REPORTS_COUNT_FOR
        );
        Ok(claimed.fetch_optional(&self.pool).await?)
    }

    /// Records a job's progress; returns `false` if this service must stop. Work done before a
    /// cancellation is still recorded.
    pub async fn report_progress(
        &self,
        id: Uuid,
        service: Uuid,
        progress: &Progress,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let reached = progress.reached.as_ref();
        let running = query_scalar!(
            r#"
            UPDATE jobs
            SET total = $3,
                done = $4,
                stored = $5,
                still_quarantined = $6,
                last_error = $7,
                reached_at = $8,
                reached_id = $9,
                heartbeat_at = $10
            WHERE id = $1 AND service = $2 AND state IN ('running', 'cancelled')
            RETURNING state = 'running' AS "running!"
            "#,
            id,
            service,
            progress.total,
            progress.done,
            progress.stored,
            progress.still_quarantined,
            progress.last_error,
            reached.map(|reached| reached.at),
            reached.map(|reached| reached.key),
            now
        );
        Ok(running.fetch_optional(&self.pool).await?.unwrap_or(false))
    }

    /// Marks a job of this service as finished.
    pub async fn finish_job(
        &self,
        id: Uuid,
        service: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        query!(
            "UPDATE jobs
             SET state = 'finished', finished_at = $3
             WHERE id = $1 AND service = $2 AND state = 'running'",
            id,
            service,
            now
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Releases this service's jobs to others.
    pub async fn release_jobs(&self, service: Uuid) -> Result<(), StoreError> {
        query!(
            "UPDATE jobs SET heartbeat_at = NULL WHERE service = $1 AND state = 'running'",
            service
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Deletes jobs whose retention has passed, and the oldest beyond the limit.
    pub async fn prune_jobs(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        query!(
            "DELETE FROM jobs
             WHERE state IN ('finished', 'cancelled')
                 AND (
                     finished_at < $1
                     OR id IN (
                         SELECT id FROM jobs ORDER BY created_at DESC, id DESC OFFSET $2
                     )
                 )",
            now - RETENTION,
            MAX_RETAINED
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
