//! JSON shapes of `/v1/deliveries`.

use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::store::deliveries::DeliveryRow;

/// Entry of the log of deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery<'a> {
    /// Our id, new for every request.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// Time of arrival.
    #[schema(example = "2026-09-28T14:54:14.102233Z")]
    received_at: Timestamp,
    /// The source that accepted it.
    #[schema(example = "default")]
    source: &'a str,
    /// The contract that it follows: `a`, `b`, `c`, `d` or `account`; `null` in quarantine.
    #[schema(example = "b")]
    generation: Option<&'a str>,
    /// The sender's name for the event; `null` in quarantine.
    #[schema(example = "chat.push")]
    event_type: Option<&'a str>,
    /// `stored`, `duplicate`, `test`, `unhandled` or `quarantined`.
    #[schema(example = "stored")]
    outcome: &'a str,
    /// Reason for the quarantine.
    #[schema(example = json!(null))]
    reason: Option<&'a str>,
    /// The agent that it names, if it names one.
    #[schema(example = "A80HVD8577")]
    agent_id: Option<&'a str>,
    /// The sender's id of the conversation that it belongs to, if it belongs to one.
    #[schema(example = "A80HVD8577_5f3c1a")]
    session_id: Option<&'a str>,
    /// Size of the body.
    #[schema(example = 46)]
    size_bytes: i32,
    /// The sender's id of it, the same for every attempt.
    #[schema(example = "dlv_01J8Z5K3")]
    sender_delivery_id: Option<&'a str>,
    /// True with a valid signature.
    #[schema(example = true)]
    signed: bool,
    /// True if its signed timestamp was more than five minutes from our clock.
    #[schema(example = false)]
    stale: bool,
    /// True for a test.
    #[schema(example = false)]
    test: bool,
}

/// Entry of the log of deliveries, with its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholeDelivery<'a> {
    #[serde(flatten)]
    about: Delivery<'a>,
    /// The exact bytes.
    #[schema(example = "eyJldmVudF90eXBlIjoiY2hhdC5wdXNoIn0=")]
    body_base64: String,
    /// The bytes as text; `null` if they are not UTF-8.
    #[schema(example = json!("{\"event_type\":\"chat.push\"}"))]
    body: Option<&'a str>,
    /// Our id of the conversation that it belongs to; `null` if that was deleted.
    #[schema(example = "01999a2c-3f0b-5d51-9c55-3a1c8e0f2b64")]
    session: Option<Uuid>,
    /// Id of its message, or of the one that it repeats; `null` without one, or if it was deleted.
    #[schema(example = "f6262f12-ebfc-8b5f-a08f-6549489bb92a")]
    message_id: Option<Uuid>,
}

impl<'a> Delivery<'a> {
    pub(crate) fn new(row: &'a DeliveryRow) -> Self {
        Self {
            id: row.id,
            received_at: Timestamp(row.received_at),
            source: &row.source,
            generation: row.generation.as_deref(),
            event_type: row.event_type.as_deref(),
            outcome: &row.outcome,
            reason: row.reason.as_deref(),
            agent_id: row.agent_id.as_deref(),
            session_id: row.session_id.as_deref(),
            size_bytes: row.size_bytes,
            sender_delivery_id: row.sender_delivery_id.as_deref(),
            signed: row.signed,
            stale: row.stale,
            test: row.test,
        }
    }
}

impl<'a> WholeDelivery<'a> {
    pub(crate) fn new(row: &'a DeliveryRow, message_id: Option<Uuid>) -> Self {
        let body = row.body.as_deref().unwrap_or_default();
        Self {
            about: Delivery::new(row),
            body_base64: STANDARD.encode(body),
            body: str::from_utf8(body).ok(),
            session: row.session.filter(|_| row.session_id.is_some()),
            message_id,
        }
    }
}
