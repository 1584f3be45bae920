//! Conversations: one by an id, or a list of them.

mod first_messages;
mod list;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use first_messages::{FirstMessage, MOST_CHARS};
pub use list::{SessionFilter, Sort};

use super::{Store, StoreError};

/// Most sessions that are named where several share the sender's id.
const CANDIDATE_LIMIT: i64 = 100;

/// A conversation as it is stored. What its silence means depends on when it is read.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// Ours.
    pub id: Uuid,
    /// The sender's id.
    pub session_id: String,
    /// Whose conversation.
    pub agent_id: String,
    /// The source that delivered it.
    pub source: String,
    /// The room, where the sender named one.
    pub room_name: Option<String>,
    /// The earliest `room.join`, where there was one.
    pub joined_at: Option<DateTime<Utc>>,
    /// The earliest event, or its arrival where that was earlier.
    pub started_at: DateTime<Utc>,
    /// The latest event; one of a sender whose clock is ahead counts when it arrived.
    pub last_activity_at: DateTime<Utc>,
    /// The latest time that an event has, which no message of the session is later than.
    pub last_event_at: DateTime<Utc>,
    /// The sender's latest word that it is over. What happens after it takes it back.
    pub end_event_at: Option<DateTime<Utc>>,
    /// The sender's reason for that.
    pub end_reason: Option<String>,
    /// How many were there at the start.
    pub participant_count: Option<i32>,
    /// Messages by anybody.
    pub message_count: i64,
    /// Messages of the user.
    pub user_message_count: i64,
    /// Messages of the assistant, by whatever word.
    pub assistant_message_count: i64,
}

/// Reads rows of `sessions`: what follows their columns in the query, and its parameters. The text
/// is in brackets where it is put together.
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

/// What a path names: a sender's session id, or ours.
#[derive(Clone, Copy, Debug)]
pub struct SessionKey<'a> {
    /// As the caller wrote it.
    pub session_id: &'a str,
    /// Only this agent's.
    pub agent_id: Option<&'a str>,
    /// Only this source's.
    pub source: Option<&'a str>,
    /// The agents that the caller may see; `None` is all.
    pub visible: Option<&'a [String]>,
}

/// Which sessions of several share the sender's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Ours.
    pub id: Uuid,
    /// Whose.
    pub agent_id: String,
    /// From where.
    pub source: String,
}

impl From<SessionRow> for Candidate {
    fn from(row: SessionRow) -> Self {
        Self { id: row.id, agent_id: row.agent_id, source: row.source }
    }
}

/// What a key names.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, and never kept")]
pub enum Found {
    /// Nothing, or nothing that the caller may see.
    Nothing,
    /// The one.
    One(SessionRow),
    /// Several: the caller has to say which.
    Several(Vec<Candidate>),
}

impl SessionKey<'_> {
    /// Our id, where the key can be one.
    ///
    /// A session of that id wins over others whose sender's id reads the same, so that every
    /// session can be reached by its own id, whatever senders call theirs.
    pub(super) fn id(&self) -> Option<Uuid> {
        const HYPHENATED: usize = 36;
        (self.session_id.len() == HYPHENATED)
            .then(|| Uuid::try_parse(self.session_id).ok())
            .flatten()
    }

    /// Picks what the key names from all that may be meant.
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
    /// The session that a path names.
    pub async fn find_session(&self, key: SessionKey<'_>) -> Result<Found, StoreError> {
        let mut lane = self.lanes.take().await?;
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
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        Ok(key.pick(rows))
    }

    /// Some sessions by our ids, within what a caller may see.
    pub(super) async fn sessions_by_id(
        &self,
        ids: &[Uuid],
        visible: Option<&[String]>,
    ) -> Result<HashMap<Uuid, SessionRow>, StoreError> {
        let mut lane = self.lanes.take().await?;
        let rows = select_sessions!(
            r#"
            WHERE id = ANY ($1)
                AND ($2::text[] IS NULL OR agent_id = ANY ($2))
            "#,
            ids,
            visible
        )
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}
