//! JSON shapes of `/v1/changes` and of the events of `/v1/stream`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::message::Message;
use crate::api::views::session::Session;
use crate::api::views::timestamp::Timestamp;
use crate::domain::Roles;
use crate::domain::session::SilenceLimits;
use crate::store::changes::Change;
use crate::store::journal::{Erasure, ErasureKind};

/// An item of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(crate) struct Item<'a> {
    /// `session`, `message` or `erasure`; the member of that name holds it.
    #[serde(rename = "type")]
    #[schema(example = "message")]
    pub(crate) kind: &'static str,
    /// Number of its transaction, in the order of commits. Not for keys that are bound to agents: the
    /// numbers would show how much others say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 1)]
    pub(crate) seq: Option<i64>,
    #[serde(flatten)]
    pub(crate) row: Row<'a>,
}

/// New or changed row, as in the other endpoints.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row<'a> {
    /// A new or changed session, as it is now.
    Session(Box<Session<'a>>),
    /// A new message.
    Message(Message<'a>),
    /// Erased rows.
    Erasure(Erased<'a>),
}

/// Erased rows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased<'a> {
    /// The id of the receipt; a separate id for retention.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// `session`, `agent` with all its sessions, or `retention`: a session that expired.
    #[schema(value_type = String)]
    #[schema(example = "session")]
    pub(crate) kind: ErasureKind,
    /// The agent.
    #[schema(example = "A80HVD8577")]
    pub(crate) agent_id: &'a str,
    /// The session; `null` for all of the agent's.
    pub(crate) session: Option<ErasedSession<'a>>,
    /// Time of the erasure.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    pub(crate) at: Timestamp,
    /// Time before which the session's messages expired, if only these were deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-09-29T00:00:00Z")]
    pub(crate) before: Option<Timestamp>,
}

/// Names of an erased session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasedSession<'a> {
    /// Our id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// The sender's id.
    #[schema(example = "A80HVD8577_5f3c1a")]
    pub(crate) session_id: &'a str,
    /// The source that delivered it.
    #[schema(example = "default")]
    pub(crate) source: &'a str,
}

impl<'a> Row<'a> {
    /// Describes a change at `now`.
    pub(crate) fn new(
        change: &'a Change,
        roles: &Roles,
        silence: SilenceLimits,
        now: DateTime<Utc>,
    ) -> Self {
        match change {
            Change::Session(row) => Self::Session(Box::new(Session::new(row, silence, now))),
            Change::Message(session, row) => {
                let message = Message::new(row, &session.session_id, &session.agent_id, roles);
                Self::Message(message.of_session(session.id))
            }
            Change::Erasure(erasure) => Self::Erasure(Erased::from(erasure)),
        }
    }

    /// Writes the object in one line.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        match self {
            Self::Session(session) => serde_json::to_string(session),
            Self::Message(message) => serde_json::to_string(message),
            Self::Erasure(erased) => serde_json::to_string(erased),
        }
    }

    /// Returns the name of its kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Session(_) => "session",
            Self::Message(_) => "message",
            Self::Erasure(_) => "erasure",
        }
    }
}

impl<'a> From<&'a Erasure> for Erased<'a> {
    fn from(erasure: &'a Erasure) -> Self {
        let session = erasure.session.as_ref().map(|erased| ErasedSession {
            id: erased.id,
            session_id: &erased.session_id,
            source: &erased.source,
        });
        Self {
            id: erasure.id,
            kind: erasure.kind,
            agent_id: &erasure.agent_id,
            session,
            at: Timestamp(erasure.at),
            before: erasure.before.map(Timestamp),
        }
    }
}
