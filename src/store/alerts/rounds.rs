//! Evaluation rounds: the claim of the next one, the services' reports, and cleanup.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// Age at which a service's last report expires: the service has stopped.
const REPORT_LIFETIME: TimeDelta = TimeDelta::minutes(1);
/// Age at which delivered and given-up notifications are deleted.
const EVENT_RETENTION: TimeDelta = TimeDelta::days(90);
/// Most notifications of one alert that are kept: a flapping alert makes thousands a day.
const MAX_EVENTS: i64 = 1_000;
/// Age at which the state of an alert that is no longer evaluated is deleted.
const STATE_RETENTION: TimeDelta = TimeDelta::days(30);

impl Store {
    /// Claims the due round and schedules the next one at `next`. Returns false if no round is due
    /// or another service claimed it.
    pub async fn claim_alert_round(
        &self,
        now: DateTime<Utc>,
        next: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let done =
            sqlx::query!("UPDATE alert_rounds SET next_at = $2 WHERE next_at <= $1", now, next)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Stores the arrival of the oldest undrained delivery of this service, which only it knows.
    pub async fn report_undrained(
        &self,
        service: Uuid,
        undrained_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO alert_services (id, undrained_since, reported_at)
             VALUES ($1, $2, $3)
             ON CONFLICT (id) DO UPDATE
             SET undrained_since = EXCLUDED.undrained_since, reported_at = EXCLUDED.reported_at",
            service,
            undrained_since,
            now
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the arrival of the oldest undrained delivery of all running services.
    pub async fn undrained_since(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let oldest = sqlx::query_scalar!(
            "SELECT min(undrained_since) FROM alert_services WHERE reported_at >= $1",
            now - REPORT_LIFETIME
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(oldest)
    }

    /// Deletes expired rows, and gives up unsent notifications older than `oldest_unsent`.
    pub async fn delete_expired_alerts(
        &self,
        now: DateTime<Utc>,
        oldest_unsent: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE alert_events
             SET next_attempt_at = NULL, given_up_at = $1
             WHERE next_attempt_at IS NOT NULL AND at < $2",
            now,
            oldest_unsent
        )
        .execute(&self.pool)
        .await?;
        sqlx::query!(
            "DELETE FROM alert_events
             WHERE next_attempt_at IS NULL
                 AND (
                     at < $1
                     OR id IN (
                         SELECT id
                         FROM (
                             SELECT
                                 id,
                                 row_number() OVER (PARTITION BY name ORDER BY at DESC, id DESC) AS place
                             FROM alert_events
                         ) AS ranked
                         WHERE place > $2
                     )
                 )",
            now - EVENT_RETENTION,
            MAX_EVENTS
        )
        .execute(&self.pool)
        .await?;
        sqlx::query!("DELETE FROM alert_states WHERE evaluated_at < $1", now - STATE_RETENTION)
            .execute(&self.pool)
            .await?;
        sqlx::query!(
            "DELETE FROM alert_services WHERE reported_at < $1",
            now - REPORT_LIFETIME * 2
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
