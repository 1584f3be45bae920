//! Conversations that are written directly into the tables.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;
use verbatim::domain::session::activity_bucket;
use verbatim::domain::{SessionId, SourceName};

use super::app::at;

/// A session to store, with the figures of its messages.
pub(crate) struct Row<'a> {
    pub(crate) agent: &'a str,
    pub(crate) session: &'a str,
    pub(crate) source: &'a str,
    pub(crate) room: Option<&'a str>,
    pub(crate) joined: bool,
    pub(crate) started: DateTime<Utc>,
    pub(crate) active: DateTime<Utc>,
    pub(crate) ended: Option<(DateTime<Utc>, Option<&'a str>)>,
    pub(crate) participants: Option<i32>,
}

impl<'a> Row<'a> {
    /// Active at [`super::app::now`], and opened by a join a minute before.
    pub(crate) fn new(agent: &'a str, session: &'a str) -> Self {
        Self {
            agent,
            session,
            source: "default",
            room: None,
            joined: true,
            started: at(-60),
            active: at(0),
            ended: None,
            participants: None,
        }
    }

    pub(crate) fn id(&self) -> Uuid {
        let source = SourceName::parse(self.source).expect("a source's name");
        SessionId::of(&source, self.agent, self.session).0
    }

    pub(crate) async fn store(&self, pool: &PgPool) -> Uuid {
        sqlx::query(
            "INSERT INTO sessions (
                id, source, agent_id, sender_session_id, room_name, participant_count, joined_at,
                started_at, last_activity_at, end_event_at, end_reason, first_delivery_id,
                activity_bucket
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(self.id())
        .bind(self.source)
        .bind(self.agent)
        .bind(self.session)
        .bind(self.room)
        .bind(self.participants)
        .bind(self.joined.then_some(self.started))
        .bind(self.started)
        .bind(self.active)
        .bind(self.ended.map(|(at, _)| at))
        .bind(self.ended.and_then(|(_, reason)| reason))
        .bind(Uuid::new_v4())
        .bind(activity_bucket(self.active))
        .execute(pool)
        .await
        .expect("a session is stored");
        sqlx::query(
            "INSERT INTO agents (
                agent_id, session_count, message_count, first_seen_at, last_activity_at
            )
            VALUES ($1, 1, 0, $2, $3)
            ON CONFLICT (agent_id) DO UPDATE SET
                session_count = agents.session_count + 1,
                first_seen_at = LEAST(agents.first_seen_at, excluded.first_seen_at),
                last_activity_at = GREATEST(agents.last_activity_at, excluded.last_activity_at)",
        )
        .bind(self.agent)
        .bind(self.started)
        .bind(self.active)
        .execute(pool)
        .await
        .expect("an agent is stored");
        self.id()
    }

    /// Stores it with these messages, one a second from its start on.
    pub(crate) async fn store_with(&self, pool: &PgPool, messages: &[(&str, &str)]) -> Uuid {
        let id = self.store(pool).await;
        for (second, (role, text)) in (0_i64..).zip(messages) {
            let at = self.started + chrono::TimeDelta::seconds(second);
            insert_message(pool, id, at, role, text).await;
        }
        id
    }
}

/// Inserts a message, and returns its ID: its place among a session's messages of the same time.
pub(crate) async fn insert_message(
    pool: &PgPool,
    session: Uuid,
    at: DateTime<Utc>,
    role: &str,
    text: &str,
) -> Uuid {
    let name = format!("{session}{at}{role}{text}");
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    sqlx::query(
        "INSERT INTO messages (
            session_id, occurred_at, id, delivery_id, role, message, sent_at, received_at, altered,
            undated
        )
        VALUES ($1, $2, $3, $3, $4, $5, $2, $2 + interval '1 second', $6, false)",
    )
    .bind(session)
    .bind(at)
    .bind(id)
    .bind(role)
    .bind(text)
    .bind(text.contains('\u{FFFD}'))
    .execute(pool)
    .await
    .expect("a message is stored");
    sqlx::query(
        "UPDATE sessions
        SET message_count = message_count + 1,
            user_message_count = user_message_count + ($2 = 'user')::int,
            assistant_message_count = assistant_message_count + ($2 = 'assistant')::int,
            started_at = LEAST(started_at, $3),
            last_activity_at = GREATEST(last_activity_at, $3)
        WHERE id = $1",
    )
    .bind(session)
    .bind(role)
    .bind(at)
    .execute(pool)
    .await
    .expect("a message is counted");
    sqlx::query(
        "UPDATE agents
        SET message_count = message_count + 1
        WHERE agent_id = (SELECT agent_id FROM sessions WHERE id = $1)",
    )
    .bind(session)
    .execute(pool)
    .await
    .expect("a message is counted");
    id
}
