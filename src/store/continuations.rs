//! Sessions that may continue each other: sessions of one agent and source, where the earlier one
//! fell silent and the later one began without a join within half an hour.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::sessions::{SessionRow, select_sessions};
use super::{Store, StoreError};
use crate::domain::Roles;
use crate::domain::continuation::{EarlierSession, MAX_SILENCE, NewSession};
use crate::domain::session::activity_bucket;

/// Most earlier sessions considered, the latest active ones. With this many, none is likely.
const MAX_EARLIER: i64 = 20;
/// Most later sessions considered, the first ones to begin.
const MAX_LATER: i64 = 5;

/// Facts about a session that began without a join, and about sessions it may continue.
#[derive(Clone, Debug)]
pub struct ContinuationFacts {
    /// The session's beginning.
    pub newcomer: NewSession,
    /// Sessions that it may continue; `ids` are in the same order.
    pub earlier: Vec<EarlierSession>,
    /// Our ID and the sender's of each.
    pub ids: Vec<(Uuid, String)>,
}

/// Row of a session that may be continued.
struct EarlierRow {
    id: Uuid,
    sender_session_id: String,
    last_activity_at: DateTime<Utc>,
    room_name: Option<String>,
    ended: bool,
    last_role: Option<String>,
    taken: bool,
    /// Role of the newcomer's first message, the same in every row.
    first_role: Option<String>,
}

impl EarlierRow {
    /// Returns the facts about the session, and its IDs: ours and the sender's.
    fn into_earlier(self, roles: &Roles) -> (EarlierSession, (Uuid, String)) {
        let earlier = EarlierSession {
            last_activity_at: self.last_activity_at,
            room_name: self.room_name,
            last_role: self.last_role.map(|role| roles.name_of(&role).to_owned()),
            ended: self.ended,
            taken: self.taken,
        };
        (earlier, (self.id, self.sender_session_id))
    }
}

impl Store {
    /// Reads the facts about a session and the sessions that it may continue.
    pub async fn continuation_facts(
        &self,
        session: &SessionRow,
    ) -> Result<ContinuationFacts, StoreError> {
        let since = session.started_at - MAX_SILENCE;
        let rows = query_as!(
            EarlierRow,
            r#"
            SELECT
                s.id,
                s.sender_session_id,
                s.last_activity_at,
                s.room_name,
                COALESCE(GREATEST(s.end_event_at, s.last_end_at) >= s.last_activity_at, false)
                    AS "ended!",
                (
                    SELECT role
                    FROM messages
                    WHERE session_id = s.id
                        AND occurred_at BETWEEN s.started_at
                            AND GREATEST(s.last_activity_at, s.last_event_at)
                    ORDER BY
                        occurred_at DESC,
                        COALESCE(sent_at, occurred_at) DESC,
                        received_at DESC,
                        id DESC
                    LIMIT 1
                ) AS last_role,
                EXISTS (
                    SELECT
                    FROM sessions AS n
                    WHERE n.agent_id = $1
                        AND n.joined_at IS NULL
                        AND n.started_at >= s.last_activity_at
                        AND n.started_at < $5
                        AND n.source = $2
                        AND n.message_count > 0
                        AND n.id <> s.id
                ) AS "taken!",
                (
                    SELECT role
                    FROM messages
                    WHERE session_id = $3 AND occurred_at BETWEEN $5 AND $6
                    ORDER BY occurred_at, COALESCE(sent_at, occurred_at), received_at, id
                    LIMIT 1
                ) AS first_role
            FROM (
                SELECT *
                FROM sessions
                WHERE agent_id = $1
                    AND activity_bucket BETWEEN $7 AND $8
                    AND last_activity_at BETWEEN $4 AND $5
                    AND source = $2
                    AND id <> $3
                ORDER BY activity_bucket DESC, last_activity_at DESC, id DESC
                LIMIT $9
            ) AS s
            ORDER BY s.last_activity_at DESC, s.id DESC
            "#,
            session.agent_id,
            session.source,
            session.id,
            since,
            session.started_at,
            session.last_event_at,
            activity_bucket(since),
            activity_bucket(session.started_at),
            MAX_EARLIER
        )
        .fetch_all(&self.pool)
        .await?;
        let newcomer = NewSession {
            started_at: session.started_at,
            room_name: session.room_name.clone(),
            first_role: (rows.first().and_then(|row| row.first_role.as_deref()))
                .map(|role| self.roles.name_of(role).to_owned()),
        };
        let (earlier, ids) = rows.into_iter().map(|row| row.into_earlier(&self.roles)).unzip();
        Ok(ContinuationFacts { newcomer, earlier, ids })
    }

    /// Finds the sessions that may continue this one.
    pub async fn later(&self, session: &SessionRow) -> Result<Vec<SessionRow>, StoreError> {
        let rows = select_sessions!(
            r#"
            WHERE agent_id = $1
                AND joined_at IS NULL
                AND started_at BETWEEN $2 AND $3
                AND source = $4
                AND message_count > 0
                AND id <> $5
            ORDER BY started_at, id
            LIMIT $6
            "#,
            session.agent_id,
            session.last_activity_at,
            session.last_activity_at + MAX_SILENCE,
            session.source,
            session.id,
            MAX_LATER
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
