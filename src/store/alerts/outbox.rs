//! Notifications to send: claims of due ones, and outcomes of attempts.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::Progress;
use crate::store::{Store, StoreError};

/// Notification that is due to be sent.
#[derive(Clone, Debug)]
pub struct DueEvent {
    /// Notification ID, which the receiver gets too.
    pub id: Uuid,
    /// Alert name.
    pub name: String,
    /// Time of the evaluation.
    pub at: DateTime<Utc>,
    /// Body as it is sent.
    pub body: String,
    /// Number of attempts, including the one that starts now.
    pub attempts: i32,
}

/// Outcome of an attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Notification ID.
    pub id: Uuid,
    /// Progress of sending it.
    pub progress: Progress,
}

impl Store {
    /// Claims due notifications of these alerts, at most `most`. Each is due again at `lease`,
    /// unless [`Store::record_alert_attempt`] stores an outcome before. Notifications of one alert
    /// are sent in order: an unsent one blocks the later ones.
    pub async fn claim_due_alerts(
        &self,
        names: &[String],
        now: DateTime<Utc>,
        lease: DateTime<Utc>,
        most: i64,
    ) -> Result<Vec<DueEvent>, StoreError> {
        let rows = query_as!(
            DueEvent,
            "UPDATE alert_events
             SET attempts = attempts + 1, next_attempt_at = $3
             WHERE id IN (
                 SELECT due.id
                 FROM alert_events AS due
                 WHERE due.next_attempt_at <= $2
                     AND due.name = ANY ($1)
                     AND NOT EXISTS (
                         SELECT
                         FROM alert_events AS earlier
                         WHERE earlier.name = due.name
                             AND (earlier.at, earlier.id) < (due.at, due.id)
                             AND earlier.next_attempt_at IS NOT NULL
                     )
                 ORDER BY due.next_attempt_at
                 LIMIT $4
                 FOR UPDATE OF due SKIP LOCKED
             )
             RETURNING id, name, at, body, attempts",
            names,
            now,
            lease,
            most
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// Stores the outcome of an attempt. A notification that was delivered meanwhile stays
    /// delivered.
    pub async fn record_alert_attempt(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let progress = &attempt.progress;
        sqlx::query!(
            "UPDATE alert_events
             SET next_attempt_at = $2, delivered_at = $3, given_up_at = $4, last_error = $5
             WHERE id = $1 AND delivered_at IS NULL",
            attempt.id,
            progress.next_attempt_at,
            progress.delivered_at,
            progress.given_up_at,
            progress.last_error
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
