//! Latest deliveries of sources, and the outcome of a test delivery.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Store, StoreError};

/// Most deliveries read to find the last one of a source: a few tens of milliseconds.
const MAX_EXAMINED: i64 = 20_000;

/// Latest deliveries of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestDeliveries {
    /// Name of the source.
    pub source: String,
    /// Arrival of its last delivery that is no test, if that is among the latest 20,000 of all.
    pub received_at: Option<DateTime<Utc>>,
    /// Arrival of its last test.
    pub test_at: Option<DateTime<Utc>>,
}

/// Outcome of a delivery.
#[derive(Clone, Debug)]
pub struct DeliveryOutcome {
    /// Our delivery ID.
    pub id: Uuid,
    /// `stored`, `duplicate`, `test`, `unhandled` or `quarantined`.
    pub outcome: String,
    /// Agent that it names.
    pub agent_id: Option<String>,
    /// Our session ID.
    pub session: Option<Uuid>,
    /// Reason of quarantine.
    pub reason: Option<String>,
}

impl Store {
    /// Returns the last arrivals of some sources.
    pub async fn latest_deliveries(
        &self,
        sources: &[String],
    ) -> Result<Vec<LatestDeliveries>, StoreError> {
        let rows = sqlx::query_as!(
            LatestDeliveries,
            r#"
            SELECT
                wanted.source AS "source!",
                (
                    SELECT latest.received_at
                    FROM (
                        SELECT d.source, d.received_at, d.outcome
                        FROM deliveries AS d
                        ORDER BY d.received_at DESC, d.id DESC
                        LIMIT $2
                    ) AS latest
                    WHERE latest.source = wanted.source AND latest.outcome <> 'test'
                    ORDER BY latest.received_at DESC
                    LIMIT 1
                ) AS received_at,
                (
                    SELECT d.received_at
                    FROM deliveries AS d
                    WHERE d.outcome = 'test' AND d.outcome <> 'stored' AND d.source = wanted.source
                    ORDER BY d.received_at DESC
                    LIMIT 1
                ) AS test_at
            FROM unnest($1::text[]) AS wanted (source)
            "#,
            sources,
            MAX_EXAMINED
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Finds the outcome of a delivery by the sender's ID and its time of arrival; `None` while it
    /// is not in the log.
    pub async fn delivery_sent_as(
        &self,
        sender_delivery_id: &str,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<Option<DeliveryOutcome>, StoreError> {
        let rounding = TimeDelta::milliseconds(1);
        let found = sqlx::query_as!(
            DeliveryOutcome,
            "SELECT id, outcome, agent_id, session_id AS session, reason
             FROM deliveries
             WHERE received_at BETWEEN $1 AND $2 AND sender_delivery_id = $3
             LIMIT 1",
            from - rounding,
            to + rounding,
            sender_delivery_id
        );
        Ok(found.fetch_optional(&self.pool).await?)
    }

    /// Returns PostgreSQL's version as the server reports it.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        let version =
            sqlx::query_scalar!(r#"SELECT current_setting('server_version') AS "version!""#);
        Ok(version.fetch_one(&self.pool).await?)
    }
}
