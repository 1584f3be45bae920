//! A session as callers see it, and how a path names one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::views::completeness::Completeness;
use crate::api::views::continuation::Continuation;
use crate::api::views::message::Message;
use crate::api::views::timestamp::Timestamp;
use crate::domain::Roles;
use crate::domain::session::{SilenceLimits, Status};
use crate::store::messages::MessageRow;
use crate::store::sessions::{FirstMessage, SessionRow};

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::option_option, reason = "left out, null, or a value")]
pub(crate) struct Session<'a> {
    /// Our id, which never changes and is unique over all agents and sources.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// The sender's id.
    #[schema(example = "A80HVD8577_5f3c1a")]
    session_id: &'a str,
    /// The agent.
    #[schema(example = "A80HVD8577")]
    agent_id: &'a str,
    /// The source that delivered it.
    #[schema(example = "default")]
    source: &'a str,
    /// The room, if the sender named one.
    #[schema(example = "room-5f3c1a")]
    room_name: Option<&'a str>,
    /// Status at the time of the answer.
    status: Status,
    /// The sender's reason, or `silence`; `null` until it has ended.
    #[schema(example = json!(null))]
    end_reason: Option<String>,
    /// First event: `room.join` or `chat.push`; `null` if only its end is known.
    #[schema(example = "room.join")]
    opened_by: Option<&'static str>,
    /// The earliest event; one from the future counts when it arrived.
    #[schema(example = "2026-09-28T14:52:40.250000Z")]
    started_at: Timestamp,
    /// The latest event; one from the future counts when it arrived.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    last_activity_at: Timestamp,
    /// `null` until it has ended.
    #[schema(example = json!(null))]
    ended_at: Option<Timestamp>,
    /// Seconds from the start to the end, or to the latest event while it lasts.
    #[schema(example = 93.645_697)]
    duration_seconds: f64,
    /// Participants at the start; it may include the agent and its avatar.
    #[schema(example = 2)]
    participant_count: Option<i32>,
    /// Messages by anybody.
    #[schema(example = 8)]
    message_count: i64,
    /// Messages of the user, whose role is `user` in any case.
    #[schema(example = 4)]
    user_message_count: i64,
    /// Messages of the assistant, by any word that the sender has for it.
    #[schema(example = 4)]
    assistant_message_count: i64,
    /// Its first messages, with `include=messages`.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message<'a>>>,
    /// The first message of its user, with `include=first_user_message`; `null` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FirstUserMessage>)]
    first_user_message: Option<Option<FirstUserMessage<'a>>>,
    /// Names of its completeness flags, with `include=flags`; `null` for a moment after its first event. `include=completeness` of one session has the reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["no_join"]))]
    flags: Option<Option<&'a [&'static str]>>,
    /// The session that it seems to continue, if it began without a join; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<Continuation>,
    /// Sessions that seem to continue it, with `include=continues`.
    #[serde(skip_serializing_if = "Option::is_none")]
    continued_by: Option<Vec<Continuation>>,
    /// Its completeness, with `include=completeness`.
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<Completeness>,
}

/// Background of one session, which takes further queries; not in lists.
#[derive(Debug, Default)]
pub(crate) struct Background {
    pub(crate) continues: Option<Continuation>,
    pub(crate) continued_by: Option<Vec<Continuation>>,
    pub(crate) completeness: Option<Completeness>,
}

impl<'a> Session<'a> {
    /// Describes a row at `now`.
    pub(crate) fn new(row: &'a SessionRow, silence: SilenceLimits, now: DateTime<Utc>) -> Self {
        let end_event = row.end_event_at.map(|at| (at, row.end_reason.clone()));
        let standing = silence.standing(now, row.last_activity_at, end_event);
        let opened_by = match (row.joined_at, row.message_count) {
            (Some(_), _) => Some("room.join"),
            (None, 1..) => Some("chat.push"),
            (None, _) => None,
        };
        let until = standing.ended_at.unwrap_or(row.last_activity_at);
        Self {
            id: row.id,
            session_id: &row.session_id,
            agent_id: &row.agent_id,
            source: &row.source,
            room_name: row.room_name.as_deref(),
            status: standing.status,
            end_reason: standing.end_reason,
            opened_by,
            started_at: Timestamp(row.started_at),
            last_activity_at: Timestamp(row.last_activity_at),
            ended_at: standing.ended_at.map(Timestamp),
            duration_seconds: seconds_between(row.started_at, until),
            participant_count: row.participant_count,
            message_count: row.message_count,
            user_message_count: row.user_message_count,
            assistant_message_count: row.assistant_message_count,
            messages: None,
            first_user_message: None,
            flags: None,
            continues: None,
            continued_by: None,
            completeness: None,
        }
    }

    /// Adds the background.
    pub(crate) fn with_background(self, background: Background) -> Self {
        let Background { continues, continued_by, completeness } = background;
        Self { continues, continued_by, completeness, ..self }
    }

    /// Adds the first message of its user and its flags, as requested.
    #[expect(clippy::option_option, reason = "left out, null, or a value")]
    pub(crate) fn with_extras(
        self,
        first: Option<Option<&'a FirstMessage>>,
        flags: Option<Option<&'a Vec<&'static str>>>,
    ) -> Self {
        Self {
            first_user_message: first.map(|first| first.map(FirstUserMessage::from)),
            flags: flags.map(|flags| flags.map(Vec::as_slice)),
            ..self
        }
    }

    /// Adds the first messages.
    pub(crate) fn with_messages(
        mut self,
        row: &'a SessionRow,
        messages: &'a [MessageRow],
        roles: &Roles,
    ) -> Self {
        let show = |message| Message::new(message, &row.session_id, &row.agent_id, roles);
        self.messages = Some(messages.iter().map(show).collect());
        self
    }
}

/// Beginning of the first message of a session's user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FirstUserMessage<'a> {
    /// The message's id.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// Its first 200 characters.
    #[schema(example = "What are your opening hours?")]
    message: &'a str,
    /// Its time.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    timestamp: Timestamp,
    /// True if some of the text could not be stored, and is replaced by U+FFFD.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(example = false)]
    altered: bool,
}

impl<'a> From<&'a FirstMessage> for FirstUserMessage<'a> {
    fn from(first: &'a FirstMessage) -> Self {
        Self {
            id: first.id,
            message: &first.text,
            timestamp: Timestamp(first.occurred_at),
            altered: first.altered,
        }
    }
}

/// Returns a duration in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years of microseconds")]
pub(crate) fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).num_microseconds().unwrap_or(0) as f64 / 1e6
}
