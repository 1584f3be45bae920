//! JSON shapes of messages.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::timestamp::Timestamp;
use crate::domain::Roles;
use crate::domain::roles::Side;
use crate::store::messages::MessageRow;

/// Message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message<'a> {
    /// Id, the same for every repeat of its delivery.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    pub(crate) id: Uuid,
    /// The sender's id of the session.
    #[schema(example = "A80HVD8577_5f3c1a")]
    pub(crate) session_id: &'a str,
    /// The agent.
    #[schema(example = "A80HVD8577")]
    pub(crate) agent_id: &'a str,
    /// Our id of the session, in `/v1/changes` and the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "01999a2c-3f0b-5d51-9c55-3a1c8e0f2b64")]
    pub(crate) session: Option<Uuid>,
    /// Role of the speaker: `user`, `assistant`, or another word of the sender.
    #[schema(example = "user")]
    pub(crate) role: &'a str,
    /// The side of the speaker, if `role` is neither `user` nor `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) side: Option<Side>,
    /// Text.
    #[schema(example = "What are your opening hours?")]
    pub(crate) message: &'a str,
    /// Time, which orders the conversation. Messages of one time are in the order in which they were
    /// sent, then in which they arrived.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    pub(crate) timestamp: Timestamp,
    /// Time at which it was sent, by the sender.
    pub(crate) sent_at: Option<Timestamp>,
    /// Time of its first arrival.
    #[schema(example = "2026-09-28T14:54:14.102233Z")]
    pub(crate) received_at: Timestamp,
    /// True if some of the text could not be stored, and is replaced by U+FFFD.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = false)]
    pub(crate) altered: bool,
    /// True without a valid time of the sender; `timestamp` is the time of arrival.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = false)]
    pub(crate) undated: bool,
}

impl<'a> Message<'a> {
    /// Describes a row of this session.
    pub(crate) fn new(
        row: &'a MessageRow,
        session_id: &'a str,
        agent_id: &'a str,
        roles: &Roles,
    ) -> Self {
        Self {
            id: row.id,
            session_id,
            agent_id,
            session: None,
            role: &row.role,
            side: roles.unnamed_side_of(&row.role),
            message: &row.message,
            timestamp: Timestamp(row.occurred_at),
            sent_at: row.sent_at.map(Timestamp),
            received_at: Timestamp(row.received_at),
            altered: row.altered,
            undated: row.undated,
        }
    }

    /// Adds our id of the session.
    pub(crate) fn of_session(self, session: Uuid) -> Self {
        Self { session: Some(session), ..self }
    }
}

/// A part of a conversation.
#[derive(Serialize, ToSchema)]
#[expect(clippy::option_option, reason = "left out, null, or a value")]
pub(crate) struct MessagePage<'a> {
    /// The messages, in the list's order.
    pub(crate) data: Vec<Message<'a>>,
    /// Cursor of the next part; `null` at the end.
    #[schema(example = "AZmaLD8LfVGcVTocjg8rZA")]
    pub(crate) next_cursor: Option<String>,
    /// True if there is a next part now.
    #[schema(example = true)]
    pub(crate) has_more: bool,
    /// Of a page with `around`: the cursor of the rows before it. Send it with the other `order`, which
    /// returns them in reverse. `null` at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    #[schema(example = "AZmaLD8LfVGcVTocjg8rZA")]
    pub(crate) previous_cursor: Option<Option<String>>,
    /// Of a page with `around`: true if messages are before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = true)]
    pub(crate) has_previous: Option<bool>,
}
