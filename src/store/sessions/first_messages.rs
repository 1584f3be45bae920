//! First message of the user and completeness flags of sessions, for lists.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::SessionRow;
use crate::store::{Store, StoreError};

/// Most characters of a first message.
pub const MAX_CHARS: i32 = 200;

/// First user message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstMessage {
    /// Message ID.
    pub id: Uuid,
    /// First [`MAX_CHARS`] characters.
    pub text: String,
    /// Time of the message.
    pub occurred_at: DateTime<Utc>,
    /// Some characters could not be stored and were replaced with U+FFFD.
    pub altered: bool,
}

impl Store {
    /// Returns the first user message of each session that has one. Each is found by a walk along
    /// the session's messages that stops there.
    pub async fn first_user_messages(
        &self,
        sessions: &[SessionRow],
    ) -> Result<HashMap<Uuid, FirstMessage>, StoreError> {
        let spoken: Vec<_> =
            sessions.iter().filter(|session| session.user_message_count > 0).collect();
        let ids: Vec<_> = spoken.iter().map(|session| session.id).collect();
        let from: Vec<_> = spoken.iter().map(|session| session.started_at).collect();
        let to: Vec<_> = spoken.iter().map(|session| session.last_event_at).collect();
        let rows = query!(
            r#"
            SELECT
                s.id AS "session_id!",
                m.id AS "id!",
                left(m.message, $4) AS "text!",
                m.occurred_at AS "occurred_at!",
                m.altered AS "altered!"
            FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
                AS s (id, started_at, last_event_at)
            CROSS JOIN LATERAL (
                SELECT *
                FROM messages
                WHERE session_id = s.id
                    AND occurred_at BETWEEN s.started_at AND s.last_event_at
                    AND lower(role COLLATE "C") = 'user'
                ORDER BY occurred_at, COALESCE(sent_at, occurred_at), received_at, id
                LIMIT 1
            ) AS m
            "#,
            &ids,
            &from,
            &to,
            MAX_CHARS
        )
        .fetch_all(&self.pool)
        .await?;
        let first = rows.into_iter().map(|row| {
            let message = FirstMessage {
                id: row.id,
                text: row.text,
                occurred_at: row.occurred_at,
                altered: row.altered,
            };
            (row.session_id, message)
        });
        Ok(first.collect())
    }

    /// Returns the completeness flags of each session, in the order of a session's JSON. A session
    /// that arrived a moment ago has none yet.
    pub async fn completeness_flags(
        &self,
        sessions: &[SessionRow],
    ) -> Result<HashMap<Uuid, Vec<&'static str>>, StoreError> {
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        let rows = query!(
            "SELECT
                session_id, no_join, one_sided, repeated_user_turn, altered, out_of_order, undated
             FROM session_facts
             WHERE session_id = ANY ($1)",
            &ids
        )
        .fetch_all(&self.pool)
        .await?;
        let flags = rows.into_iter().map(|row| {
            let flags = [
                (row.no_join, "no_join"),
                (row.one_sided, "one_sided"),
                (row.repeated_user_turn, "repeated_user_turn"),
                (row.altered, "altered"),
                (row.out_of_order, "out_of_order"),
                (row.undated, "undated"),
            ];
            let raised = flags.into_iter().filter(|(is_raised, _)| *is_raised);
            (row.session_id, raised.map(|(_, name)| name).collect())
        });
        Ok(flags.collect())
    }
}
