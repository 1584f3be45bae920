//! Finds sessions by ID, and lists them.

mod first_messages;
mod list;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use first_messages::{FirstMessage, MAX_CHARS};
pub use list::{SessionFilter, Sort};

use super::{Store, StoreError};

/// Most sessions returned when several share the sender's ID.
const CANDIDATE_LIMIT: i64 = 100;

/// Stored session. Its status depends on the time of reading.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Our session ID.
    pub id: Uuid,
    /// Sender's session ID.
    pub session_id: String,
    /// Agent of the conversation.
    pub agent_id: String,
    /// Source that delivered it.
    pub source: String,
    /// Room, if the sender named one.
    pub room_name: Option<String>,
    /// Time of the earliest `room.join`, if any.
    pub joined_at: Option<DateTime<Utc>>,
    /// Time of the earliest event, or its arrival if that was earlier.
    pub started_at: DateTime<Utc>,
    /// Time of the latest event, or its arrival if the sender's clock is ahead.
    pub last_activity_at: DateTime<Utc>,
    /// Latest time of any event. No message of the session is later.
    pub last_event_at: DateTime<Utc>,
    /// Latest end reported by the sender. Later activity reopens the session.
    pub end_event_at: Option<DateTime<Utc>>,
    /// Sender's reason for the end.
    pub end_reason: Option<String>,
    /// Number of participants at the start.
    pub participant_count: Option<i32>,
    /// Messages of all roles.
    pub message_count: i64,
    /// Messages of the user.
    pub user_message_count: i64,
    /// Messages of the assistant, under any of its roles.
    pub assistant_message_count: i64,
}

/// Selects sessions. Arguments: the rest of the query after the column list, in brackets if it is
/// concatenated, and its parameters.
macro_rules! select_sessions {
    ([$($rest:tt)+] $(, $parameter:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::store::sessions::SessionRow,
            r#"
            SELECT
                id,
                sender_session_id AS session_id,
                agent_id,
                source,
                room_name,
                joined_at,
                started_at,
                last_activity_at,
                GREATEST(last_activity_at, last_event_at) AS "last_event_at!",
                GREATEST(end_event_at, last_end_at) AS end_event_at,
                CASE
                    WHEN last_end_at >= end_event_at THEN last_end_reason
                    ELSE end_reason
                END AS end_reason,
                participant_count,
                message_count,
                user_message_count,
                assistant_message_count
            FROM sessions
            "# + $($rest)+,
            $($parameter),*
        )
    };
    ($rest:tt $(, $parameter:expr)* $(,)?) => { select_sessions!([$rest] $(, $parameter)*) };
}
pub(super) use select_sessions;

/// Session named in a path, by the sender's ID or ours.
#[derive(Clone, Copy, Debug)]
pub struct SessionKey<'a> {
    /// ID as the caller wrote it.
    pub session_id: &'a str,
    /// Only this agent.
    pub agent_id: Option<&'a str>,
    /// Only this source.
    pub source: Option<&'a str>,
    /// Agents that the caller can see; `None` is all.
    pub visible: Option<&'a [String]>,
}

/// Session among several that share the sender's ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Our session ID.
    pub id: Uuid,
    /// Agent.
    pub agent_id: String,
    /// Source.
    pub source: String,
}

impl From<SessionRow> for Candidate {
    fn from(row: SessionRow) -> Self {
        Self { id: row.id, agent_id: row.agent_id, source: row.source }
    }
}

/// Result of finding a session.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "only one exists at a time")]
pub enum Found {
    /// No such session, or none that the caller can see.
    Nothing,
    /// Exactly one session.
    One(SessionRow),
    /// Several sessions: the caller has to choose.
    Several(Vec<Candidate>),
}

impl SessionKey<'_> {
    /// Returns our ID, if the key has its form.
    ///
    /// A session with this ID of ours wins over sessions with the same sender's ID, so every
    /// session can be addressed by our ID, whatever IDs senders choose.
    pub(super) fn id(&self) -> Option<Uuid> {
        const HYPHENATED: usize = 36;
        (self.session_id.len() == HYPHENATED)
            .then(|| Uuid::try_parse(self.session_id).ok())
            .flatten()
    }

    /// Picks the session from all candidates.
    fn pick(self, mut rows: Vec<SessionRow>) -> Found {
        if rows.len() <= 1 {
            return rows.pop().map_or(Found::Nothing, Found::One);
        }
        match rows.iter().position(|row| Some(row.id) == self.id()) {
            Some(index) => Found::One(rows.swap_remove(index)),
            None => Found::Several(rows.into_iter().map(Candidate::from).collect()),
        }
    }
}

impl Store {
    /// Finds the session that a path names.
    pub async fn find_session(&self, key: SessionKey<'_>) -> Result<Found, StoreError> {
        let rows = select_sessions!(
            r#"
            WHERE (sender_session_id = $1 OR id = $2)
                AND ($3::text IS NULL OR agent_id = $3)
                AND ($4::text IS NULL OR source = $4)
                AND ($5::text[] IS NULL OR agent_id = ANY ($5))
            ORDER BY id = $2 DESC NULLS LAST, last_activity_at DESC, id DESC
            LIMIT $6
            "#,
            key.session_id,
            key.id(),
            key.agent_id,
            key.source,
            key.visible,
            CANDIDATE_LIMIT
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(key.pick(rows))
    }

    /// Reads the visible sessions with these IDs of ours.
    pub(super) async fn sessions_by_id(
        &self,
        ids: &[Uuid],
        visible: Option<&[String]>,
    ) -> Result<HashMap<Uuid, SessionRow>, StoreError> {
        let rows = select_sessions!(
            r#"
            WHERE id = ANY ($1)
                AND ($2::text[] IS NULL OR agent_id = ANY ($2))
            "#,
            ids,
            visible
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}
