//! Conversations: one by an id, or a list of them.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest};
use super::{Store, StoreError};
use crate::domain::session::{Status, activity_bucket};

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

/// Which sessions a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Only these agents' sessions; `None` is all agents'.
    pub agents: Option<Vec<String>>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only of this room.
    pub room_name: Option<String>,
    /// Only those that stand so, seen from `live_since` and `open_since`.
    pub status: Option<Status>,
    /// Sessions whose last activity is after this are live.
    pub live_since: DateTime<Utc>,
    /// Sessions whose last activity is after this are not over by silence.
    pub open_since: DateTime<Utc>,
    /// `room.join` or `chat.push`.
    pub opened_by: Option<&'static str>,
    /// Started later than this.
    pub started_after: Option<DateTime<Utc>>,
    /// Started earlier than this.
    pub started_before: Option<DateTime<Utc>>,
    /// Last active later than this.
    pub active_after: Option<DateTime<Utc>>,
    /// Last active earlier than this.
    pub active_before: Option<DateTime<Utc>>,
    /// At least so many messages.
    pub min_messages: Option<i64>,
}

impl SessionFilter {
    pub(super) fn status(&self) -> Option<&'static str> {
        self.status.map(|status| match status {
            Status::Live => "live",
            Status::Idle => "idle",
            Status::Ended => "ended",
        })
    }

    /// Later than this, by whichever filter says so: it bounds the walk along the index.
    pub(super) fn active_after(&self) -> DateTime<Utc> {
        let silence = match self.status {
            Some(Status::Live) => self.live_since,
            Some(Status::Idle) => self.open_since,
            Some(Status::Ended) | None => BEFORE_ALL,
        };
        self.active_after.unwrap_or(BEFORE_ALL).max(silence)
    }
}

/// The list of sessions. `$head` says whose they are; each use walks one index by buckets of
/// activity, sorts within the bucket, and stops at the limit, where one query with all the choices
/// in it would have to sort everything.
macro_rules! list_sessions {
    ($head:tt, $order:tt, $beyond:tt, $store:ident, $filter:ident, $page:ident $(, $agents:ident)?) => {{
        let (start_at, start_id) = $page.start();
        query_as!(
            SessionRow,
            r#"
            SELECT
                s.id AS "id!",
                s.sender_session_id AS "session_id!",
                s.agent_id AS "agent_id!",
                s.source AS "source!",
                s.room_name,
                s.joined_at,
                s.started_at AS "started_at!",
                s.last_activity_at AS "last_activity_at!",
                GREATEST(s.last_activity_at, s.last_event_at) AS "last_event_at!",
                GREATEST(s.end_event_at, s.last_end_at) AS end_event_at,
                CASE
                    WHEN s.last_end_at >= s.end_event_at THEN s.last_end_reason
                    ELSE s.end_reason
                END AS end_reason,
                s.participant_count,
                s.message_count AS "message_count!",
                s.user_message_count AS "user_message_count!",
                s.assistant_message_count AS "assistant_message_count!"
            FROM "# + $head + r#"
                AND (activity_bucket, last_activity_at, id) "# + $beyond + r#" ($15, $1, $2)
                AND activity_bucket BETWEEN $16 AND $17
                AND last_activity_at > $3
                AND last_activity_at < $4
                AND ($5::text IS NULL OR source = $5)
                AND ($6::text IS NULL OR room_name = $6)
                AND ($7::text IS NULL OR $7 = CASE
                    WHEN GREATEST(end_event_at, last_end_at) >= last_activity_at
                        OR last_activity_at <= $9 THEN 'ended'
                    WHEN last_activity_at <= $8 THEN 'idle'
                    ELSE 'live'
                END)
                AND ($10::text IS NULL OR $10 = CASE
                    WHEN joined_at IS NOT NULL THEN 'room.join'
                    WHEN message_count > 0 THEN 'chat.push'
                END)
                AND started_at > $11
                AND started_at < $12
                AND ($13::bigint IS NULL OR message_count >= $13)
                ORDER BY
                    activity_bucket "# + $order + r#",
                    last_activity_at "# + $order + r#",
                    id "# + $order + r#"
                LIMIT $14
            ) AS s
            ORDER BY s.last_activity_at "# + $order + r#", s.id "# + $order + r#"
            LIMIT $14
            "#,
            start_at,
            start_id,
            $filter.active_after(),
            $filter.active_before.unwrap_or(AFTER_ALL),
            $filter.source.as_deref(),
            $filter.room_name.as_deref(),
            $filter.status(),
            $filter.live_since,
            $filter.open_since,
            $filter.opened_by,
            $filter.started_after.unwrap_or(BEFORE_ALL),
            $filter.started_before.unwrap_or(AFTER_ALL),
            $filter.min_messages,
            i64::from($page.limit),
            activity_bucket(start_at),
            activity_bucket($filter.active_after()),
            activity_bucket($filter.active_before.unwrap_or(AFTER_ALL)),
            $($agents)?
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// Over all agents: a walk along `sessions_by_activity`.
macro_rules! all_sessions {
    ($($rest:tt)*) => { list_sessions!("(SELECT * FROM sessions WHERE TRUE", $($rest)*) };
}

/// Over some agents: a walk along `sessions_by_agent_activity` for each, merged.
macro_rules! agents_sessions {
    ($($rest:tt)*) => {
        list_sessions!(
            "unnest($18::text[]) AS wanted (agent_id)
            CROSS JOIN LATERAL (SELECT * FROM sessions WHERE sessions.agent_id = wanted.agent_id",
            $($rest)*
        )
    };
}

impl Store {
    /// A part of the list of sessions, by their last activity.
    pub async fn list_sessions(
        &self,
        filter: &SessionFilter,
        page: &PageRequest,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let rows = match (&filter.agents, page.order) {
            (None, Order::Desc) => all_sessions!("DESC", "<", self, filter, page),
            (None, Order::Asc) => all_sessions!("ASC", ">", self, filter, page),
            (Some(agents), Order::Desc) => {
                agents_sessions!("DESC", "<", self, filter, page, agents)
            }
            (Some(agents), Order::Asc) => agents_sessions!("ASC", ">", self, filter, page, agents),
        };
        Ok(rows?)
    }

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
