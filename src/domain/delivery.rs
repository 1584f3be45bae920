//! Deliveries: as they arrived ([`Arrival`]) and decoded ([`Delivery`]).

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::ids::{DeliveryId, EventId, SessionId, SourceName};

/// Authentic request as it arrived. The inbox stores it. It contains all that decoding needs: the
/// same arrival always decodes to the same [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Our ID, new for every request.
    pub id: DeliveryId,
    /// Time at which the request had been read, in whole microseconds.
    pub received_at: DateTime<Utc>,
    /// Source that accepted it.
    pub source: SourceName,
    /// Facts from the headers.
    pub evidence: Evidence,
    /// Raw body, the authoritative content.
    pub body: Bytes,
}

/// Facts from a request's headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `X-BitHuman-Delivery`: the sender's ID. No signature covers it, so it identifies nothing.
    pub sender_delivery_id: Option<String>,
    /// The signature was valid.
    pub signed: bool,
    /// The signed timestamp was more than five minutes from our clock.
    pub stale: bool,
    /// It had the header `X-Test-Webhook: true`.
    pub test: bool,
    /// Identity of a redacted delivery: the hash of the original body.
    pub event_id: Option<EventId>,
}

/// Generation of the sender's contract that a delivery follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// The oldest: `room_join`, `agentId`, `message.content`.
    A,
    /// Signed, `event_type` and `agent_id`.
    B,
    /// `agent_code`, no `data.timestamp`.
    C,
    /// Not signed, not retried by the sender.
    D,
    /// Account events of the second system.
    Account,
}

impl Generation {
    /// Name in the log of deliveries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::C => "c",
            Self::D => "d",
            Self::Account => "account",
        }
    }
}

/// Decoded delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Identity, which duplicates share.
    pub id: EventId,
    /// Generation of its contract.
    pub generation: Generation,
    /// The sender's name for the event, in its newest spelling: `room.join`.
    pub event_type: String,
    /// Agent, if it names one.
    pub agent_id: Option<String>,
    /// Time of the event: the sender's if that is valid, or else that of the arrival.
    pub occurred_at: DateTime<Utc>,
    /// The sender gave no valid time.
    pub undated: bool,
    /// Time at which the sender sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// Event.
    pub event: Event,
}

/// Event of a delivery.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A conversation began.
    Join {
        /// Its session.
        session: SessionRef,
        /// Name of the room.
        room_name: Option<String>,
        /// Number of participants; it may include the agent and its avatar.
        participant_count: Option<i32>,
    },
    /// A message was said.
    Message {
        /// Its session.
        session: SessionRef,
        /// Role: `user`, `assistant`, or another name of the sender.
        role: String,
        /// Text.
        message: String,
        /// The text had characters that cannot be stored, replaced by U+FFFD.
        altered: bool,
    },
    /// A conversation ended.
    End {
        /// Its session.
        session: SessionRef,
        /// The sender's reason.
        reason: Option<String>,
        /// Start of the conversation, by the sender.
        started_at: Option<DateTime<Utc>>,
    },
    /// Known event of the account, part of no conversation.
    Account,
    /// The dashboard's Test button.
    Test,
    /// Unknown event type.
    Unknown,
}

impl Event {
    /// Returns the conversation that it belongs to, if any.
    #[must_use]
    pub fn session(&self) -> Option<&SessionRef> {
        match self {
            Self::Join { session, .. }
            | Self::Message { session, .. }
            | Self::End { session, .. } => Some(session),
            Self::Account | Self::Test | Self::Unknown => None,
        }
    }
}

/// The sender's names of a conversation, with our computed ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRef {
    /// Our ID.
    pub id: SessionId,
    /// ID of the agent.
    pub agent_id: String,
    /// The sender's session ID.
    pub sender_session_id: String,
}

/// Outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Stored with its conversation.
    Stored,
    /// Duplicate of a stored delivery.
    Duplicate,
    /// The dashboard's Test button.
    Test,
    /// Stored, but of an unknown event type.
    Unhandled,
    /// Stored, but could not be decoded.
    Quarantined,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 5] =
        [Self::Stored, Self::Duplicate, Self::Test, Self::Unhandled, Self::Quarantined];

    /// Name in the log of deliveries.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Test => "test",
            Self::Unhandled => "unhandled",
            Self::Quarantined => "quarantined",
        }
    }
}

/// Error of an authentic delivery that cannot be decoded: the field and the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Unreadable {
    /// Path of the field, such as `data.session_id`; `body` for the whole body.
    pub field: &'static str,
    /// Description for a person. It never quotes the delivery.
    pub problem: String,
}

impl Unreadable {
    /// Creates an error of `field`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
