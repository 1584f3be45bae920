//! JSON shape of visits.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::views::session::seconds_between;
use crate::api::views::timestamp::Timestamp;
use crate::store::sessions::SessionRow;
use crate::store::visits::VisitRow;

/// Part of a session with one visitor.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Visit {
    /// Its place in the session, from one, for `?visit=`. New messages do not change it; a late message
    /// of an earlier visit can shift the places of later ones.
    #[schema(example = 1)]
    visit: i64,
    /// `room.join` where one came shortly before its first message, else `chat.push`.
    #[schema(example = "room.join")]
    opened_by: &'static str,
    /// That join, or its first message.
    #[schema(example = "2026-09-28T14:52:40.250000Z")]
    started_at: Timestamp,
    /// Its last message.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    last_activity_at: Timestamp,
    /// Its last message, once the visit is over; `null` before.
    #[schema(example = json!(null))]
    ended_at: Option<Timestamp>,
    /// From its start to its last message, in seconds.
    #[schema(example = 93.645_697)]
    duration_seconds: f64,
    /// From the last message of the visit before it to its first, in seconds; `null` for the first.
    #[schema(example = 0.8)]
    silence_before_seconds: Option<f64>,
    /// Messages by anybody.
    #[schema(example = 8)]
    message_count: i64,
    /// Messages of the user, whose role is `user` in any case.
    #[schema(example = 4)]
    user_message_count: i64,
    /// Messages of the assistant, by any word that the sender has for it.
    #[schema(example = 4)]
    assistant_message_count: i64,
}

impl Visit {
    pub(crate) fn new(
        row: &VisitRow,
        session: &SessionRow,
        longest_silence: TimeDelta,
        now: DateTime<Utc>,
    ) -> Self {
        let started_at = row.joined_at.unwrap_or(row.first_at);
        let silent = now - row.last_at > longest_silence;
        let ended = !row.is_last || session.end_event_at.is_some() || silent;
        Self {
            visit: row.number,
            opened_by: if row.joined_at.is_some() { "room.join" } else { "chat.push" },
            started_at: Timestamp(started_at),
            last_activity_at: Timestamp(row.last_at),
            ended_at: ended.then_some(Timestamp(row.last_at)),
            duration_seconds: seconds_between(started_at, row.last_at),
            silence_before_seconds: row.previous_at.map(|at| seconds_between(at, row.first_at)),
            message_count: row.message_count,
            user_message_count: row.user_message_count,
            assistant_message_count: row.assistant_message_count,
        }
    }
}
