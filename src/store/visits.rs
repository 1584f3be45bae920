//! Visits: parts of a session that are separated by a long silence.
//!
//! Visits are not stored. They are computed by one walk along the key of `messages`, whose index
//! suffices to find their beginnings. Only messages of the page's visits are read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::postgres::types::PgInterval;
use sqlx::{query, query_as};
use uuid::Uuid;

use super::page::{Order, PageRequest};
use super::sessions::SessionRow;
use super::{Store, StoreError};

/// Computed visit.
#[derive(Clone, Debug)]
pub struct VisitRow {
    /// Number of the visit in its session, from one.
    pub number: i64,
    /// Time of the earliest `room.join` between the previous visit and its first message, if it is
    /// no earlier than the longest silence within a visit before that message.
    pub joined_at: Option<DateTime<Utc>>,
    /// Time of the first message.
    pub first_at: DateTime<Utc>,
    /// ID of the first message.
    pub first_id: Uuid,
    /// Time of the last message.
    pub last_at: DateTime<Utc>,
    /// Time of the previous visit's last message.
    pub previous_at: Option<DateTime<Utc>>,
    /// No visit follows.
    pub is_last: bool,
    /// Messages of all roles.
    pub message_count: i64,
    /// Messages of the user.
    pub user_message_count: i64,
    /// Messages of the assistant, under any of its roles.
    pub assistant_message_count: i64,
}

/// Lists visits. The first message begins one, and so does each message more than `$4` after the
/// previous one. A visit ends with the message before the next one's first.
macro_rules! list_visits {
    ($order:tt, $beyond:tt, $store:ident, $session:ident, $gap:ident, $page:ident) => {{
        // Visits do not overlap, so no two begin at the same time.
        let (start_at, _) = $page.start();
        query_as!(
            VisitRow,
            r#"
            SELECT
                v.number AS "number!",
                joined.at AS joined_at,
                v.first_at AS "first_at!",
                opening.id AS "first_id!",
                said.last_at AS "last_at!",
                v.previous_at,
                v.last_at IS NULL AS "is_last!",
                said.message_count AS "message_count!",
                said.user_message_count AS "user_message_count!",
                said.assistant_message_count AS "assistant_message_count!"
            FROM (
                SELECT *
                FROM (
                    SELECT
                        row_number() OVER along AS number,
                        occurred_at AS first_at,
                        previous_at,
                        lead(previous_at) OVER along AS last_at
                    FROM (
                        SELECT
                            occurred_at,
                            id,
                            lag(occurred_at) OVER (ORDER BY occurred_at, id) AS previous_at
                        FROM messages
                        WHERE session_id = $1 AND occurred_at >= $2 AND occurred_at <= $3
                    ) AS spoken
                    WHERE previous_at IS NULL OR occurred_at > previous_at + $4::interval
                    WINDOW along AS (ORDER BY occurred_at, id)
                ) AS numbered
                WHERE first_at "#
                + $beyond
                + r#" $5
                ORDER BY first_at "#
                + $order
                + r#"
                LIMIT $7
            ) AS v
            CROSS JOIN LATERAL (
                SELECT id
                FROM messages
                WHERE session_id = $1 AND occurred_at = v.first_at
                ORDER BY COALESCE(sent_at, occurred_at), received_at, id
                LIMIT 1
            ) AS opening
            CROSS JOIN LATERAL (
                SELECT
                    max(occurred_at) AS last_at,
                    count(*) AS message_count,
                    count(*) FILTER (WHERE lower(role COLLATE "C") = 'user')
                        AS user_message_count,
                    count(*) FILTER (WHERE lower(role COLLATE "C") = ANY ($6::text[]))
                        AS assistant_message_count
                FROM messages
                WHERE session_id = $1
                    AND occurred_at >= v.first_at
                    AND occurred_at <= COALESCE(v.last_at, $3)
            ) AS said
            CROSS JOIN LATERAL (
                SELECT min(occurred_at) AS at
                FROM joins
                WHERE session_id = $1
                    AND occurred_at BETWEEN v.first_at - $4::interval AND v.first_at
                    AND (v.previous_at IS NULL OR occurred_at > v.previous_at)
            ) AS joined
            ORDER BY v.first_at "#
                + $order,
            $session.id,
            $session.started_at,
            $session.last_event_at,
            interval($gap),
            start_at,
            $store.roles.assistant(),
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

impl Store {
    /// Lists a session's visits. The walk runs from the session's first message to the page's end,
    /// or to the session's end with [`Order::Desc`].
    pub async fn list_visits(
        &self,
        session: &SessionRow,
        gap: Duration,
        page: &PageRequest,
    ) -> Result<Vec<VisitRow>, StoreError> {
        let rows = match page.order {
            Order::Asc => list_visits!("ASC", ">", self, session, gap, page),
            Order::Desc => list_visits!("DESC", "<", self, session, gap, page),
        };
        Ok(rows?)
    }

    /// Returns the times of a visit's first and last message, by its number. No message of another
    /// visit is between them.
    pub async fn find_visit(
        &self,
        session: &SessionRow,
        gap: Duration,
        number: i64,
    ) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, StoreError> {
        let found = query!(
            r#"
            SELECT occurred_at AS "first_at!", lead(previous_at) OVER along AS last_at
            FROM (
                SELECT
                    occurred_at,
                    id,
                    lag(occurred_at) OVER (ORDER BY occurred_at, id) AS previous_at
                FROM messages
                WHERE session_id = $1 AND occurred_at >= $2 AND occurred_at <= $3
            ) AS spoken
            WHERE previous_at IS NULL OR occurred_at > previous_at + $4::interval
            WINDOW along AS (ORDER BY occurred_at, id)
            ORDER BY occurred_at, id
            OFFSET $5
            LIMIT 1
            "#,
            session.id,
            session.started_at,
            session.last_event_at,
            interval(gap),
            number - 1
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|visit| (visit.first_at, visit.last_at.unwrap_or(session.last_event_at))))
    }
}

/// Converts a duration for Postgres.
pub(super) fn interval(length: Duration) -> PgInterval {
    let microseconds = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}
