//! Lists sessions: filters, orders, and the index walks that serve them.

use chrono::{DateTime, Utc};
use sqlx::query_as;

use super::SessionRow;
use crate::domain::session::{Status, activity_bucket};
use crate::store::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest, Position};
use crate::store::{Store, StoreError};

/// Filter of a list of sessions.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Only these agents; `None` is all agents.
    pub agents: Option<Vec<String>>,
    /// Only this source.
    pub source: Option<String>,
    /// Only this room.
    pub room_name: Option<String>,
    /// Only this status, as of `live_since` and `open_since`.
    pub status: Option<Status>,
    /// Sessions with later activity are live.
    pub live_since: DateTime<Utc>,
    /// Sessions with later activity have not ended by silence.
    pub open_since: DateTime<Utc>,
    /// `room.join` or `chat.push`.
    pub opened_by: Option<&'static str>,
    /// Start later than this.
    pub started_after: Option<DateTime<Utc>>,
    /// Start earlier than this.
    pub started_before: Option<DateTime<Utc>>,
    /// Last activity later than this.
    pub active_after: Option<DateTime<Utc>>,
    /// Last activity earlier than this.
    pub active_before: Option<DateTime<Utc>>,
    /// Least number of messages.
    pub min_messages: Option<i64>,
    /// Greatest number of messages.
    pub max_messages: Option<i64>,
    /// Least duration in microseconds.
    pub min_duration_us: Option<i64>,
    /// Greatest duration in microseconds.
    pub max_duration_us: Option<i64>,
    /// With a join or an assistant message but no user message; `false` selects the others.
    pub silent: Option<bool>,
    /// With a user message, or without.
    pub engaged: Option<bool>,
    /// With exactly one user turn; `false` selects the others.
    pub single_turn: Option<bool>,
    /// With any of these completeness flags.
    pub flags: Option<Vec<String>>,
}

/// Order of a list of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// Last activity.
    #[default]
    Activity,
    /// Start.
    Started,
    /// Time from the start to the end, or to the last activity.
    Duration,
    /// Number of messages.
    Messages,
}

impl Sort {
    fn as_str(self) -> &'static str {
        match self {
            Self::Activity => "activity",
            Self::Started => "started",
            Self::Duration => "duration",
            Self::Messages => "messages",
        }
    }

    /// Returns a session's position in the list. Values other than times are microseconds since
    /// 1970.
    #[must_use]
    pub fn position(self, row: &SessionRow) -> Position {
        let micros = |micros| DateTime::from_timestamp_micros(micros).unwrap_or(AFTER_ALL);
        let at = match self {
            Self::Activity => row.last_activity_at,
            Self::Started => row.started_at,
            Self::Duration => {
                let end = row.end_event_at.filter(|at| *at >= row.last_activity_at);
                let length = end.unwrap_or(row.last_activity_at) - row.started_at;
                micros(length.num_microseconds().unwrap_or(i64::MAX))
            }
            Self::Messages => micros(row.message_count),
        };
        Position { at, key: row.id }
    }
}

impl SessionFilter {
    pub(in crate::store) fn status(&self) -> Option<&'static str> {
        self.status.map(|status| match status {
            Status::Live => "live",
            Status::Idle => "idle",
            Status::Ended => "ended",
        })
    }

    /// Returns the latest lower bound of the last activity in the filters, which bounds the index
    /// walk.
    pub(in crate::store) fn active_after(&self) -> DateTime<Utc> {
        let silence = match self.status {
            Some(Status::Live) => self.live_since,
            Some(Status::Idle) => self.open_since,
            Some(Status::Ended) | None => BEFORE_ALL,
        };
        self.active_after.unwrap_or(BEFORE_ALL).max(silence)
    }
}

/// Lists sessions; `$head` selects the agents. Each use walks one index by buckets of activity,
/// sorts within the bucket, and stops at the limit. A single query for all cases would have to sort
/// everything.
macro_rules! list_sessions {
    (
        $head:tt, $beyond:tt, $inner:tt, $outer:tt, $order:tt,
        $store:ident, $filter:ident, $page:ident $(, $more:expr)*
    ) => {{
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
                AND "# + $beyond + r#"
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
                AND ($18::bigint IS NULL OR message_count <= $18)
                AND ($19::bigint IS NULL OR $19 * interval '1 microsecond' <= CASE
                    WHEN GREATEST(end_event_at, last_end_at) >= last_activity_at
                        THEN GREATEST(end_event_at, last_end_at)
                    ELSE last_activity_at
                END - started_at)
                AND ($20::bigint IS NULL OR $20 * interval '1 microsecond' >= CASE
                    WHEN GREATEST(end_event_at, last_end_at) >= last_activity_at
                        THEN GREATEST(end_event_at, last_end_at)
                    ELSE last_activity_at
                END - started_at)
                AND ($21::boolean IS NULL OR $21 = (
                    user_message_count = 0
                    AND (joined_at IS NOT NULL OR assistant_message_count > 0)
                ))
                AND ($22::boolean IS NULL OR $22 = (user_message_count > 0))
                AND ($23::boolean IS NULL OR $23 = EXISTS (
                    SELECT FROM session_facts AS f WHERE f.session_id = sessions.id AND f.turns = 1
                ))
                AND ($24::text[] IS NULL OR EXISTS (
                    SELECT
                    FROM session_facts AS f
                    WHERE f.session_id = sessions.id
                        AND (
                            f.no_join AND 'no_join' = ANY ($24)
                            OR f.one_sided AND 'one_sided' = ANY ($24)
                            OR f.repeated_user_turn AND 'repeated_user_turn' = ANY ($24)
                            OR f.altered AND 'altered' = ANY ($24)
                            OR f.out_of_order AND 'out_of_order' = ANY ($24)
                            OR f.undated AND 'undated' = ANY ($24)
                        )
                ))
                ORDER BY "# + $inner + " " + $order + ", id " + $order + r#"
                LIMIT $14
            ) AS s
            ORDER BY "# + $outer + " " + $order + ", s.id " + $order + r#"
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
            $filter.max_messages,
            $filter.min_duration_us,
            $filter.max_duration_us,
            $filter.silent,
            $filter.engaged,
            $filter.single_turn,
            $filter.flags.as_deref()
            $(, $more)*
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// Lists sessions of all agents: a walk along `sessions_by_activity`.
macro_rules! all_sessions {
    ("DESC", $($rest:tt)*) => {
        list_sessions!(
            "(SELECT * FROM sessions WHERE TRUE",
            "(activity_bucket, last_activity_at, id) < ($15, $1, $2)",
            "activity_bucket DESC, last_activity_at", "s.last_activity_at", "DESC", $($rest)*
        )
    };
    ("ASC", $($rest:tt)*) => {
        list_sessions!(
            "(SELECT * FROM sessions WHERE TRUE",
            "(activity_bucket, last_activity_at, id) > ($15, $1, $2)",
            "activity_bucket, last_activity_at", "s.last_activity_at", "ASC", $($rest)*
        )
    };
}

/// Lists sessions of some agents: a walk along `sessions_by_agent_activity` for each, merged.
macro_rules! agents_sessions {
    ("DESC", $($rest:tt)*) => {
        list_sessions!(
            "unnest($25::text[]) AS wanted (agent_id)
            CROSS JOIN LATERAL (SELECT * FROM sessions WHERE sessions.agent_id = wanted.agent_id",
            "(activity_bucket, last_activity_at, id) < ($15, $1, $2)",
            "activity_bucket DESC, last_activity_at", "s.last_activity_at", "DESC", $($rest)*
        )
    };
    ("ASC", $($rest:tt)*) => {
        list_sessions!(
            "unnest($25::text[]) AS wanted (agent_id)
            CROSS JOIN LATERAL (SELECT * FROM sessions WHERE sessions.agent_id = wanted.agent_id",
            "(activity_bucket, last_activity_at, id) > ($15, $1, $2)",
            "activity_bucket, last_activity_at", "s.last_activity_at", "ASC", $($rest)*
        )
    };
}

/// Lists sessions by another order than activity: reads all that match the filters, and keeps the
/// page's rows. Values other than times are microseconds since 1970.
macro_rules! sorted_sessions {
    ("DESC", $($rest:tt)*) => {
        sorted_sessions!("(rank, id) < ($1, $2) AND $15::timestamptz IS NOT NULL", "DESC", $($rest)*)
    };
    ("ASC", $($rest:tt)*) => {
        sorted_sessions!("(rank, id) > ($1, $2) AND $15::timestamptz IS NOT NULL", "ASC", $($rest)*)
    };
    ($beyond:tt, $order:tt, $($rest:tt)*) => {
        list_sessions!(
            "(
                SELECT *
                FROM (
                    SELECT *, CASE $26::text
                        WHEN 'started' THEN started_at
                        WHEN 'messages'
                            THEN 'epoch'::timestamptz + message_count * interval '1 microsecond'
                        WHEN 'duration' THEN 'epoch'::timestamptz + (CASE
                            WHEN GREATEST(end_event_at, last_end_at) >= last_activity_at
                                THEN GREATEST(end_event_at, last_end_at)
                            ELSE last_activity_at
                        END - started_at)
                    END AS rank
                    FROM sessions
                    WHERE ($25::text[] IS NULL OR agent_id = ANY ($25))
                ) AS sessions
                WHERE TRUE",
            $beyond, "rank", "s.rank", $order, $($rest)*
        )
    };
}

impl Store {
    /// Returns a page of the list of sessions.
    pub async fn list_sessions(
        &self,
        filter: &SessionFilter,
        sort: Sort,
        page: &PageRequest,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let agents = filter.agents.as_deref();
        let rows = match (sort, agents, page.order) {
            (Sort::Activity, None, Order::Desc) => all_sessions!("DESC", self, filter, page),
            (Sort::Activity, None, Order::Asc) => all_sessions!("ASC", self, filter, page),
            (Sort::Activity, Some(agents), Order::Desc) => {
                agents_sessions!("DESC", self, filter, page, agents)
            }
            (Sort::Activity, Some(agents), Order::Asc) => {
                agents_sessions!("ASC", self, filter, page, agents)
            }
            (sort, agents, Order::Desc) => {
                sorted_sessions!("DESC", self, filter, page, agents, sort.as_str())
            }
            (sort, agents, Order::Asc) => {
                sorted_sessions!("ASC", self, filter, page, agents, sort.as_str())
            }
        };
        Ok(rows?)
    }
}
