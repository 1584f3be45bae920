//! The log of deliveries, with the outcome of each.

mod list;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::{Connection as _, query_as, query_scalar};
use uuid::Uuid;

pub use list::{DeliveryFilter, DeliveryPage};

use super::ingest;
use super::{Store, StoreError};
use crate::domain::ids::InvalidSourceName;
use crate::domain::{Arrival, Delivery, DeliveryId, EventId, Evidence, Outcome, SourceName};

/// Delivery in the log.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Our ID, new for every request.
    pub id: Uuid,
    /// Time of arrival.
    pub received_at: DateTime<Utc>,
    /// Source that accepted it.
    pub source: String,
    /// Contract that it follows, if it could be decoded.
    pub generation: Option<String>,
    /// Sender's name of the event, if it could be decoded.
    pub event_type: Option<String>,
    /// Outcome.
    pub outcome: String,
    /// Reason for the quarantine.
    pub reason: Option<String>,
    /// Agent that it names, if it could be decoded and names one.
    pub agent_id: Option<String>,
    /// Sender's ID of its session, if the session exists.
    pub session_id: Option<String>,
    /// Our ID of its session, which may be deleted.
    pub session: Option<Uuid>,
    /// Sender's ID of the delivery, the same on every attempt.
    pub sender_delivery_id: Option<String>,
    /// True if it had a valid signature.
    pub signed: bool,
    /// True if its signed timestamp differed from our clock by more than five minutes.
    pub stale: bool,
    /// True if it was marked as a test.
    pub test: bool,
    /// Event ID that identifies its duplicates, if its body was redacted.
    pub event_id: Option<Uuid>,
    /// Size of the body.
    pub size_bytes: i32,
    /// Body, if a single delivery is read; lists omit it.
    pub body: Option<Vec<u8>>,
}

impl DeliveryRow {
    /// Returns true if it is in quarantine.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.outcome == Outcome::Quarantined.as_str()
    }

    /// Returns the original request, so that it can be decoded again.
    pub fn arrival(&self) -> Result<Arrival, InvalidSourceName> {
        Ok(Arrival {
            id: DeliveryId(self.id),
            received_at: self.received_at,
            source: SourceName::parse(&self.source)?,
            evidence: Evidence {
                sender_delivery_id: self.sender_delivery_id.clone(),
                signed: self.signed,
                stale: self.stale,
                test: self.test,
                event_id: self.event_id.map(EventId),
            },
            body: self.body.clone().map(Bytes::from).unwrap_or_default(),
        })
    }
}

impl Store {
    /// Returns a delivery with its body, if it names a `visible` agent; `None` is every agent.
    pub async fn find_delivery(
        &self,
        id: Uuid,
        visible: Option<&[String]>,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let Some((from, to)) = DeliveryId(id).millisecond() else { return Ok(None) };
        let row = query_as!(
            DeliveryRow,
            r#"
            SELECT
                d.id,
                d.received_at,
                d.source,
                d.generation,
                d.event_type,
                d.outcome,
                d.reason,
                d.agent_id,
                s.sender_session_id AS "session_id?",
                d.session_id AS session,
                d.sender_delivery_id,
                d.signed,
                d.stale,
                d.test,
                d.event_id,
                octet_length(d.body) AS "size_bytes!",
                d.body AS "body?"
            FROM deliveries AS d
            LEFT JOIN sessions AS s ON s.id = d.session_id
            WHERE d.id = $1
                AND d.received_at >= $2
                AND d.received_at < $3
                AND ($4::text[] IS NULL OR d.agent_id = ANY ($4))
            "#,
            id,
            from,
            to,
            visible
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row)
    }

    /// Returns the ID of the message that was stored from a delivery, if it exists. The row must
    /// have its body.
    pub async fn message_of(&self, row: &DeliveryRow) -> Result<Option<Uuid>, StoreError> {
        let (Some(session), Some(body)) = (row.session, &row.body) else { return Ok(None) };
        let Ok(source) = SourceName::parse(&row.source) else { return Ok(None) };
        let id = row.event_id.unwrap_or_else(|| EventId::of(&source, body).0);
        let found = query_scalar!(
            "SELECT m.id
             FROM sessions AS s
             JOIN messages AS m ON m.session_id = s.id
             WHERE s.id = $1
                 AND m.occurred_at >= s.started_at
                 AND m.occurred_at <= GREATEST(s.last_activity_at, s.last_event_at)
                 AND m.id = $2
             LIMIT 1",
            session,
            id
        );
        Ok(found.fetch_optional(&self.pool).await?)
    }

    /// Stores a quarantined delivery as if it had just arrived, and returns the outcome. Returns
    /// `None` if it is no longer in quarantine.
    pub async fn release(
        &self,
        arrival: &Arrival,
        delivery: Delivery,
    ) -> Result<Option<Outcome>, StoreError> {
        // Detached from the pool: if this future is dropped, the connection and its transaction are
        // closed with it.
        let mut connection = self.pool.acquire().await?.detach();
        let outcome = ingest::release(&mut connection, arrival, delivery, &self.roles).await?;
        // An error does not matter: Postgres detects a closed connection.
        let _ = connection.close().await;
        Ok(outcome)
    }
}
