//! Rounds: who evaluates next, what services report for it, and what is too old.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::store::{Store, StoreError};

/// A service whose last report is older has stopped.
const REPORTS_COUNT_FOR: TimeDelta = TimeDelta::minutes(1);
/// Notifications are kept for so long after they were delivered or given up.
const HISTORY: TimeDelta = TimeDelta::days(90);
/// Most notifications of one alert that are kept: one that flaps makes thousands a day.
const MOST_HISTORY: i64 = 1_000;
/// The state of an alert that nobody evaluates any more is kept for so long.
const STATE: TimeDelta = TimeDelta::days(30);

impl Store {
    /// Takes the round that is due, if nobody else has; the next one is due at `next`.
    pub async fn take_alert_round(
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

    /// Reports what only this service knows.
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

    /// Returns the arrival of the oldest delivery that waits in any running service.
    pub async fn undrained_since(
        &self,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let oldest = sqlx::query_scalar!(
            "SELECT min(undrained_since) FROM alert_services WHERE reported_at >= $1",
            now - REPORTS_COUNT_FOR
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(oldest)
    }

    /// Deletes what is too old, and gives up notifications of alerts that nobody sends any more.
    pub async fn tidy_alerts(
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
            now - HISTORY,
            MOST_HISTORY
        )
        .execute(&self.pool)
        .await?;
        sqlx::query!("DELETE FROM alert_states WHERE evaluated_at < $1", now - STATE)
            .execute(&self.pool)
            .await?;
        sqlx::query!(
            "DELETE FROM alert_services WHERE reported_at < $1",
            now - REPORTS_COUNT_FOR * 2
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
