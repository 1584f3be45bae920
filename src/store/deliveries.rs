//! The log of deliveries: what arrived, and what became of it.

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

/// A delivery as it stands in the log.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Ours, new for every request.
    pub id: Uuid,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The source that let it in.
    pub source: String,
    /// The contract that it follows, where it could be read.
    pub generation: Option<String>,
    /// The sender's name for the event, where it could be read.
    pub event_type: Option<String>,
    /// What became of it.
    pub outcome: String,
    /// Why it is in quarantine.
    pub reason: Option<String>,
    /// The agent that it names, where it could be read and names one.
    pub agent_id: Option<String>,
    /// The sender's id of its conversation, where it belongs to one that is there.
    pub session_id: Option<String>,
    /// Our id of its conversation, also where that is gone.
    pub session: Option<Uuid>,
    /// The sender's id of it, the same on every attempt.
    pub sender_delivery_id: Option<String>,
    /// It carried a signature, which was right.
    pub signed: bool,
    /// Its signed timestamp was more than five minutes from our clock.
    pub stale: bool,
    /// It said that it is a test.
    pub test: bool,
    /// What it is known by among its repeats, where its body was redacted.
    pub event_id: Option<Uuid>,
    /// Its body's size.
    pub size_bytes: i32,
    /// Its body, where one delivery is read; a list leaves it out.
    pub body: Option<Vec<u8>>,
}

impl DeliveryRow {
    /// It lies in quarantine.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.outcome == Outcome::Quarantined.as_str()
    }

    /// The request as it stood at the door, so that it can be decoded anew.
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
    /// One delivery with its body, if it names an agent that is `visible`; `None` is every agent.
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

    /// Returns the id of the message that a delivery became, where it became one that is there. The
    /// delivery is one with its body.
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

    /// Stores a delivery that lies in quarantine, as if it had just arrived, and says what became
    /// of it; `None` where it does not lie there any more.
    pub async fn release(
        &self,
        arrival: &Arrival,
        delivery: Delivery,
    ) -> Result<Option<Outcome>, StoreError> {
        // Out of the pool, so that wherever this is dropped the connection and its transaction go
        // along with it.
        let mut connection = self.pool.acquire().await?.detach();
        let outcome = ingest::release(&mut connection, arrival, delivery, &self.roles).await?;
        // Postgres notices by itself where the farewell does not reach it.
        let _ = connection.close().await;
        Ok(outcome)
    }
}
