//! States of alerts, written together with the notifications of their changes.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection, query_as};

use super::NewEvent;
use crate::store::{Store, StoreError};

/// State of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct StateRow {
    /// Alert name.
    pub name: String,
    /// `ok`, `pending` or `firing`.
    pub status: String,
    /// Time since which the condition has held, or has not held.
    pub since: DateTime<Utc>,
    /// Time of the last evaluation.
    pub evaluated_at: DateTime<Utc>,
    /// Last measured value.
    pub value: Option<f64>,
    /// Normal value.
    pub normal: Option<f64>,
    /// Threshold of the rule.
    pub threshold: Option<f64>,
    /// Reason why the last evaluation had no value.
    pub missing: Option<String>,
    /// Agents of the rule.
    pub agent_ids: Option<Vec<String>>,
    /// Number of writes; 0 if it was never written.
    pub version: i64,
}

/// State to write, and the notifications of the change.
#[derive(Clone, Debug)]
pub struct StateWrite {
    /// New state; `version` is the one that was read.
    pub state: StateRow,
    /// Notifications of the change.
    pub events: Vec<NewEvent>,
}

impl Store {
    /// Reads the states of alerts.
    pub async fn alert_states(&self, names: &[String]) -> Result<Vec<StateRow>, StoreError> {
        let rows = query_as!(
            StateRow,
            "SELECT
                 name,
                 status,
                 since,
                 evaluated_at,
                 value,
                 normal,
                 threshold,
                 missing,
                 agent_ids,
                 version
             FROM alert_states
             WHERE name = ANY ($1)
             ORDER BY name",
            names
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// Writes states and the notifications of their changes in one transaction. Skips a state that
    /// another service has written since it was read, and its notifications.
    pub async fn write_alert_states(&self, writes: &[StateWrite]) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        for write in writes {
            if write_state(&mut transaction, &write.state).await? {
                for event in &write.events {
                    insert_event(&mut transaction, event).await?;
                }
            }
        }
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Writes states and notifications from the time when the database was unavailable. Skips a
    /// state that another service has written since. All notifications are stored: they may have
    /// been sent.
    pub async fn write_offline_alerts(
        &self,
        states: &[StateRow],
        events: &[NewEvent],
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        for state in states {
            write_state(&mut transaction, state).await?;
        }
        for event in events {
            insert_event(&mut transaction, event).await?;
        }
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    }
}

/// Writes a state. Returns false if another service has written it since it was read.
async fn write_state(connection: &mut PgConnection, state: &StateRow) -> Result<bool, sqlx::Error> {
    let written = sqlx::query_scalar!(
        r#"INSERT INTO alert_states AS s (
             name, status, since, evaluated_at, value, normal, threshold, missing, agent_ids, version
         )
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11)
         ON CONFLICT (name) DO UPDATE
         SET status = EXCLUDED.status,
             since = EXCLUDED.since,
             evaluated_at = EXCLUDED.evaluated_at,
             value = EXCLUDED.value,
             normal = EXCLUDED.normal,
             threshold = EXCLUDED.threshold,
             missing = EXCLUDED.missing,
             agent_ids = EXCLUDED.agent_ids,
             version = EXCLUDED.version
         WHERE s.version = $10
         RETURNING s.version"#,
        state.name,
        state.status,
        state.since,
        state.evaluated_at,
        state.value,
        state.normal,
        state.threshold,
        state.missing,
        state.agent_ids.as_deref() as _,
        state.version,
        state.version + 1
    )
    .fetch_optional(connection)
    .await?;
    Ok(written.is_some())
}

async fn insert_event(connection: &mut PgConnection, event: &NewEvent) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO alert_events (
             id, name, kind, at, since, value, normal, threshold, summary, agent_ids, body, attempts,
             next_attempt_at, delivered_at, given_up_at, last_error
         )
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT DO NOTHING",
        event.id,
        event.name,
        event.kind,
        event.at,
        event.since,
        event.value,
        event.normal,
        event.threshold,
        event.summary,
        event.agent_ids.as_deref() as _,
        event.body,
        event.progress.attempts,
        event.progress.next_attempt_at,
        event.progress.delivered_at,
        event.progress.given_up_at,
        event.progress.last_error
    )
    .execute(connection)
    .await?;
    Ok(())
}
