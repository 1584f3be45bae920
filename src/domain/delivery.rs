//! A delivery: what arrived ([`Arrival`]) and what it says ([`Delivery`]).

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::ids::{DeliveryId, EventId, SessionId, SourceName};

/// One authentic request, as it stood at the door. It is what the inbox keeps, and it holds all
/// that decoding needs: the same arrival always decodes to the same [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Ours, new for every request.
    pub id: DeliveryId,
    /// When the request had been read, in whole microseconds.
    pub received_at: DateTime<Utc>,
    /// Which configured source let it in.
    pub source: SourceName,
    /// What the headers told.
    pub evidence: Evidence,
    /// The raw body: the truth, whatever decoding makes of it.
    pub body: Bytes,
}

/// What a request's headers told about it, beyond its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `X-BitHuman-Delivery`: the sender's id. No signature covers it, so it identifies nothing.
    pub sender_delivery_id: Option<String>,
    /// It carried a signature, which was right.
    pub signed: bool,
    /// Its signed timestamp was more than five minutes from our clock.
    pub stale: bool,
    /// It said `X-Test-Webhook: true`.
    pub test: bool,
    /// What it is known by among its repeats, where that cannot be told from the body any more:
    /// it was redacted, and this is the hash of what arrived.
    pub event_id: Option<EventId>,
}

/// Which of the sender's contracts a delivery follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// The oldest: `room_join`, `agentId`, `message.content`.
    A,
    /// Signed, `event_type` and `agent_id`.
    B,
    /// `agent_code`, no `data.timestamp`.
    C,
    /// Not signed, tried once.
    D,
    /// Account events of the second system.
    Account,
}

impl Generation {
    /// As it stands in the log of deliveries.
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

/// What an arrival says, once decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The same for every repeat of the delivery.
    pub id: EventId,
    /// The contract it follows.
    pub generation: Generation,
    /// The sender's name for the event, in its newest spelling: `room.join`.
    pub event_type: String,
    /// The agent, where it names one.
    pub agent_id: Option<String>,
    /// When it happened: the sender's word where that makes sense, else the arrival.
    pub occurred_at: DateTime<Utc>,
    /// The sender gave no time that makes sense.
    pub undated: bool,
    /// When the sender says that it sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// Under what earlier versions stored the same delivery, where that differs.
    pub former: Former,
    /// What happened.
    pub event: Event,
}

/// The keys under which earlier versions stored a delivery, where they are not today's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// Their ids: the hash of the delivery header, and what became of it where the body was
    /// redacted. The sender's header alone told it, so other deliveries may have the same.
    pub ids: Option<[EventId; 2]>,
    /// Their time: numbers were rounded twice.
    pub occurred_at: Option<DateTime<Utc>>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A conversation began.
    Join {
        /// Whose.
        session: SessionRef,
        /// The room's name.
        room_name: Option<String>,
        /// How many were there; it may count the agent and its avatar.
        participant_count: Option<i32>,
    },
    /// Somebody said something.
    Message {
        /// Where.
        session: SessionRef,
        /// Who: `user`, `assistant`, or what the sender calls it.
        role: String,
        /// What.
        message: String,
        /// The text held what Postgres or UTF-8 cannot, and shows U+FFFD in its place.
        altered: bool,
    },
    /// The sender says that a conversation is over.
    End {
        /// Which.
        session: SessionRef,
        /// Why, in the sender's word.
        reason: Option<String>,
        /// When it says that the conversation began.
        started_at: Option<DateTime<Utc>>,
    },
    /// An event of the account: understood, and part of no conversation.
    Account,
    /// The dashboard's Test button.
    Test,
    /// A type that we do not know yet.
    Unknown,
}

impl Event {
    /// The conversation that it belongs to, where it belongs to one.
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

/// A conversation as the sender names it, with our computed id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRef {
    /// Ours.
    pub id: SessionId,
    /// The agent's.
    pub agent_id: String,
    /// The sender's.
    pub sender_session_id: String,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Kept, and part of what it belongs to.
    Stored,
    /// A repeat of one that was stored.
    Duplicate,
    /// The dashboard's Test button.
    Test,
    /// Kept, of a type that we do not know yet.
    Unhandled,
    /// Kept, but nothing could be read from it.
    Quarantined,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Stored, Self::Duplicate, Self::Test, Self::Unhandled, Self::Quarantined];

    /// As it stands in the log of deliveries.
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

/// An authentic delivery that cannot be read: the field at fault, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Unreadable {
    /// The field's path, such as `data.session_id`; `body` for the whole.
    pub field: &'static str,
    /// What is wrong, in words for a person. It never quotes the delivery.
    pub problem: String,
}

impl Unreadable {
    /// A fault of `field`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
