//! Completeness figures of a session, computed from its messages.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::sessions::SessionRow;
use super::visits::interval;
use super::{Store, StoreError};
use crate::domain::completeness::{Figures, Places};

/// Most messages of a session that are examined, from its first: some tenths of a second's work for
/// Postgres.
pub const MAX_EXAMINED: i64 = 100_000;

impl Store {
    /// Examines a session's first messages. Consecutive user turns count as repeated only within a
    /// visit: after a longer silence it is somebody else.
    pub async fn examine(
        &self,
        session: &SessionRow,
        visit_gap: Duration,
    ) -> Result<Figures, StoreError> {
        let examined = query_as!(
            Examined,
            r#"
            SELECT
                count(*) AS "messages!",
                count(*) FILTER (WHERE role = 'user') AS "user_messages!",
                count(*) FILTER (WHERE role = 'assistant') AS "assistant_messages!",
                count(*) FILTER (WHERE repeated) AS "repeated!",
                min(occurred_at) FILTER (WHERE repeated) AS repeated_at,
                (array_agg(id ORDER BY place) FILTER (WHERE repeated))[1] AS repeated_id,
                count(*) FILTER (WHERE early) AS "early!",
                min(occurred_at) FILTER (WHERE early) AS early_at,
                (array_agg(id ORDER BY place) FILTER (WHERE early))[1] AS early_id,
                count(*) FILTER (WHERE altered) AS "altered!",
                min(occurred_at) FILTER (WHERE altered) AS altered_at,
                (array_agg(id ORDER BY place) FILTER (WHERE altered))[1] AS altered_id,
                count(*) FILTER (WHERE undated) AS "undated!",
                min(occurred_at) FILTER (WHERE undated) AS undated_at,
                (array_agg(id ORDER BY place) FILTER (WHERE undated))[1] AS undated_id
            FROM (
                SELECT
                    occurred_at,
                    row_number() OVER along AS place,
                    id,
                    role,
                    altered,
                    undated,
                    role = 'user' AND lag(role) OVER along = 'user'
                        AND occurred_at <= lag(occurred_at) OVER along + $4::interval AS repeated,
                    received_at < max(received_at) OVER (
                        along ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ) AS early
                FROM (
                    SELECT
                        occurred_at,
                        COALESCE(sent_at, occurred_at) AS sent_at,
                        id,
                        CASE
                            WHEN lower(role COLLATE "C") = 'user' THEN 'user'
                            WHEN lower(role COLLATE "C") = ANY ($6::text[]) THEN 'assistant'
                        END AS role,
                        received_at,
                        altered,
                        undated
                    FROM messages
                    WHERE session_id = $1 AND occurred_at >= $2 AND occurred_at <= $3
                    ORDER BY
                        occurred_at,
                        COALESCE(messages.sent_at, messages.occurred_at),
                        received_at,
                        id
                    LIMIT $5
                ) AS spoken
                WINDOW along AS (ORDER BY occurred_at, sent_at, received_at, id)
            ) AS seen
            "#,
            session.id,
            session.started_at,
            session.last_event_at,
            interval(visit_gap),
            MAX_EXAMINED,
            self.roles.assistant()
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(examined.into_figures(session.joined_at.is_some()))
    }
}

/// Counts of messages by finding, each with the time and ID of the first one.
struct Examined {
    messages: i64,
    user_messages: i64,
    assistant_messages: i64,
    repeated: i64,
    repeated_at: Option<DateTime<Utc>>,
    repeated_id: Option<Uuid>,
    early: i64,
    early_at: Option<DateTime<Utc>>,
    early_id: Option<Uuid>,
    altered: i64,
    altered_at: Option<DateTime<Utc>>,
    altered_id: Option<Uuid>,
    undated: i64,
    undated_at: Option<DateTime<Utc>>,
    undated_id: Option<Uuid>,
}

impl Examined {
    fn into_figures(self, joined: bool) -> Figures {
        Figures {
            joined,
            messages: self.messages,
            user_messages: self.user_messages,
            assistant_messages: self.assistant_messages,
            repeated_user_turns: places(self.repeated, self.repeated_at, self.repeated_id),
            out_of_order: places(self.early, self.early_at, self.early_id),
            altered: places(self.altered, self.altered_at, self.altered_id),
            undated: places(self.undated, self.undated_at, self.undated_id),
        }
    }
}

fn places(count: i64, at: Option<DateTime<Utc>>, id: Option<Uuid>) -> Places {
    Places { count, first: at.zip(id) }
}
