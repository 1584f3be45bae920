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
use crate::domain::session::{SilenceLimits, Status};
use crate::problem::{Code, Problem};
use crate::store::messages::MessageRow;
use crate::store::sessions::{Candidate, Found, SessionKey, SessionRow};

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

    /// The same with its first messages.
    pub(super) fn with_messages(mut self, row: &'a SessionRow, messages: &'a [MessageRow]) -> Self {
        let show = |message| Message::new(message, &row.session_id, &row.agent_id);
        self.messages = Some(messages.iter().map(show).collect());
        self
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
