//! A session as callers see it, and how a path names one.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Caller;
use super::completeness::Completeness;
use super::continuation::Continuation;
use super::messages::Message;
use super::params::Params;
use super::timestamp::Timestamp;
use crate::domain::Roles;
use crate::domain::session::{SilenceLimits, Status};
use crate::problem::{Code, Problem};
use crate::store::messages::MessageRow;
use crate::store::sessions::{Candidate, FirstMessage, Found, SessionKey, SessionRow};

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Session<'a> {
    /// Ours: it never changes, and is unique over all agents and sources.
    id: Uuid,
    /// The sender's id.
    session_id: &'a str,
    /// Whose conversation.
    agent_id: &'a str,
    /// The source that delivered it.
    source: &'a str,
    /// The room, where the sender named one.
    room_name: Option<&'a str>,
    /// Where it stands at the time of the answer.
    status: Status,
    /// The sender's reason, or `silence`; `null` until it has ended.
    end_reason: Option<String>,
    /// What it was first known by: `room.join` or `chat.push`; `null` where only its end is known.
    opened_by: Option<&'static str>,
    /// The earliest event; one from the future counts when it arrived.
    started_at: Timestamp,
    /// The latest event; one from the future counts when it arrived.
    last_activity_at: Timestamp,
    /// `null` until it has ended.
    ended_at: Option<Timestamp>,
    /// From the start to the end, or to the latest event while it goes on; in seconds.
    duration_seconds: f64,
    /// How many were there at the start; it may count the agent and its avatar.
    participant_count: Option<i32>,
    /// Messages by anybody.
    message_count: i64,
    /// Messages of the user, whose role is `user` in any case.
    user_message_count: i64,
    /// Messages of the assistant, by any word that the sender has for it.
    assistant_message_count: i64,
    /// Its first messages, where the list was asked to include them.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<Message<'a>>>,
    /// The first message of its user, where the list was asked to include it; `null` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FirstUserMessage>)]
    first_user_message: Option<Option<FirstUserMessage<'a>>>,
    /// Names of its completeness flags, where the list was asked to include them; `null` for a moment
    /// after its first event. `include=completeness` of one session has the reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["no_join"]))]
    flags: Option<Option<&'a [&'static str]>>,
    /// What it seems to go on from, where one session is asked for that began without a join.
    #[serde(skip_serializing_if = "Option::is_none")]
    continues: Option<Continuation>,
    /// What seems to go on from it, where it was asked to include that.
    #[serde(skip_serializing_if = "Option::is_none")]
    continued_by: Option<Vec<Continuation>>,
    /// Whether it is all there, where it was asked to include that.
    #[serde(skip_serializing_if = "Option::is_none")]
    completeness: Option<Completeness>,
}

/// What is told of one session and of none in a list, since it has to be looked for.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub(super) continues: Option<Continuation>,
    pub(super) continued_by: Option<Vec<Continuation>>,
    pub(super) completeness: Option<Completeness>,
}

impl<'a> Session<'a> {
    /// What a row means at `now`.
    pub(super) fn new(row: &'a SessionRow, silence: SilenceLimits, now: DateTime<Utc>) -> Self {
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

    /// The same with its background.
    pub(super) fn with_background(self, background: Background) -> Self {
        let Background { continues, continued_by, completeness } = background;
        Self { continues, continued_by, completeness, ..self }
    }

    /// The same with the first message of its user and its flags, where the list is asked for them.
    pub(super) fn with_extras(
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

    /// The same with its first messages.
    pub(super) fn with_messages(
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

/// The beginning of what a session's user said first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FirstUserMessage<'a> {
    /// The message's id.
    id: Uuid,
    /// Its first 200 characters.
    message: &'a str,
    /// Its time.
    timestamp: Timestamp,
    /// Some of the text could not be stored, and shows U+FFFD in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
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

/// A length of time in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact below 285 years of microseconds")]
pub(super) fn seconds_between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).num_microseconds().unwrap_or(0) as f64 / 1e6
}

/// The session that a request names, within what its caller may see.
pub(super) fn session_key<'a>(
    session_id: &'a str,
    params: &'a Params,
    caller: &'a Caller,
) -> SessionKey<'a> {
    SessionKey {
        session_id,
        agent_id: params.text("agent_id"),
        source: params.text("source"),
        visible: caller.agents(),
    }
}

/// Exactly one, or the problem that there is none or several.
pub(super) fn only(found: Found) -> Result<SessionRow, Problem> {
    match found {
        Found::One(one) => Ok(one),
        Found::Nothing => Err(Problem::new(Code::NotFound, "There is no such session.")),
        Found::Several(candidates) => Err(ambiguous(&candidates)),
    }
}

fn ambiguous(candidates: &[Candidate]) -> Problem {
    let sessions: Vec<_> = candidates
        .iter()
        .map(|each| json!({ "id": each.id, "agent_id": each.agent_id, "source": each.source }))
        .collect();
    Problem::new(
        Code::AmbiguousSession,
        "Several sessions have this id: say which with `agent_id` (and `source`), or ask with \
         its own `id`.",
    )
    .with("sessions", sessions)
}
