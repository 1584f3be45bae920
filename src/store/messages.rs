//! What was said: a conversation, or the beginnings of many.
//!
//! `messages` is partitioned by `occurred_at`, and its key is (`session_id`, `occurred_at`, `id`).
//! Each query carries the session's own bounds, so that only the partitions that it spans are
//! touched, and reads the key in its order, so that a page is one range scan.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest};
use super::sessions::{CANDIDATE_LIMIT, Candidate, Found, SessionKey, SessionRow};
use super::{Store, StoreError};

/// A message as it is stored.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// The same for every repeat of its delivery.
    pub id: Uuid,
    /// Who: `user`, `assistant`, or what the sender calls it.
    pub role: String,
    /// What.
    pub message: String,
    /// When; it orders the conversation.
    pub occurred_at: DateTime<Utc>,
    /// When the sender says that it sent it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Some of the text could not be stored, and shows U+FFFD in its place.
    pub altered: bool,
    /// The sender gave no time; `occurred_at` is `received_at`.
    pub undated: bool,
}

/// Which messages of a conversation are wanted.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Only by this role.
    pub role: Option<String>,
    /// Only later than this.
    pub after: Option<DateTime<Utc>>,
    /// Only earlier than this.
    pub before: Option<DateTime<Utc>>,
}

/// A part of a conversation.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// The sender's id of the session.
    pub session_id: String,
    /// Whose conversation.
    pub agent_id: String,
    /// In the order that was asked for.
    pub messages: Vec<MessageRow>,
}

impl MessageFilter {
    /// The earliest time that fits; times are whole microseconds.
    fn earliest(&self) -> DateTime<Utc> {
        self.after.map_or(BEFORE_ALL, |after| after + TimeDelta::microseconds(1))
    }

    /// The latest time that fits.
    fn latest(&self) -> DateTime<Utc> {
        self.before.map_or(AFTER_ALL, |before| before - TimeDelta::microseconds(1))
    }
}

/// Finds the session and reads a page of it in one round trip. Where several sessions are meant,
/// no message is read.
macro_rules! read_conversation {
    ($order:tt, $beyond:tt, $store:ident, $key:ident, $filter:ident, $page:ident) => {{
        let (start_at, start_id) = $page.start();
        query_as!(
            Line,
            r#"
            WITH candidates AS MATERIALIZED (
                SELECT
                    id,
                    sender_session_id,
                    agent_id,
                    source,
                    started_at,
                    last_activity_at
                FROM sessions
                WHERE (sender_session_id = $1 OR id = $2)
                    AND ($3::text IS NULL OR agent_id = $3)
                    AND ($4::text IS NULL OR source = $4)
                    AND ($5::text[] IS NULL OR agent_id = ANY ($5))
                ORDER BY id = $2 DESC NULLS LAST, last_activity_at DESC, id DESC
                LIMIT $6
            )
            SELECT
                c.id AS "candidate!",
                c.sender_session_id AS "session_id!",
                c.agent_id AS "agent_id!",
                c.source AS "source!",
                m.id AS "id?",
                m.role AS "role?",
                m.message AS "message?",
                m.occurred_at AS "occurred_at?",
                m.sent_at AS "sent_at?",
                m.received_at AS "received_at?",
                m.altered AS "altered?",
                m.undated AS "undated?"
            FROM candidates AS c
            LEFT JOIN LATERAL (
                SELECT *
                FROM messages
                WHERE session_id = c.id
                    AND occurred_at >= GREATEST(c.started_at, $7)
                    AND occurred_at <= LEAST(c.last_activity_at, $8)
                    AND (occurred_at, id) "#
                + $beyond
                + r#" ($9, $10)
                    AND ($11::text IS NULL OR role = $11)
                    AND (c.id = $2 OR (SELECT count(*) FROM candidates) = 1)
                ORDER BY occurred_at "#
                + $order
                + r#", id "#
                + $order
                + r#"
                LIMIT $12
            ) AS m ON TRUE
            "#,
            $key.session_id,
            $key.id(),
            $key.agent_id,
            $key.source,
            $key.visible,
            CANDIDATE_LIMIT,
            $filter.earliest(),
            $filter.latest(),
            start_at,
            start_id,
            $filter.role.as_deref(),
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// A row of the query above: a candidate, and a message of it where there is one.
struct Line {
    candidate: Uuid,
    session_id: String,
    agent_id: String,
    source: String,
    id: Option<Uuid>,
    role: Option<String>,
    message: Option<String>,
    occurred_at: Option<DateTime<Utc>>,
    sent_at: Option<DateTime<Utc>>,
    received_at: Option<DateTime<Utc>>,
    altered: Option<bool>,
    undated: Option<bool>,
}

impl Line {
    fn message(self) -> Option<MessageRow> {
        Some(MessageRow {
            id: self.id?,
            role: self.role?,
            message: self.message?,
            occurred_at: self.occurred_at?,
            sent_at: self.sent_at,
            received_at: self.received_at?,
            altered: self.altered?,
            undated: self.undated?,
        })
    }
}

impl Store {
    /// A part of the conversation that a path names.
    pub async fn read_conversation(
        &self,
        key: SessionKey<'_>,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Result<Found<Conversation>, StoreError> {
        let lines = match page.order {
            Order::Asc => read_conversation!("ASC", ">", self, key, filter, page),
            Order::Desc => read_conversation!("DESC", "<", self, key, filter, page),
        }?;
        let Some(first) = lines.first() else {
            return Ok(Found::Nothing);
        };
        let ours = key.id();
        let meant = lines.iter().find(|line| Some(line.candidate) == ours).or_else(|| {
            lines.iter().all(|line| line.candidate == first.candidate).then_some(first)
        });
        let Some(meant) = meant else {
            let candidates = lines.into_iter().map(|line| Candidate {
                id: line.candidate,
                agent_id: line.agent_id,
                source: line.source,
            });
            return Ok(Found::Several(candidates.collect()));
        };
        let (id, session_id, agent_id) =
            (meant.candidate, meant.session_id.clone(), meant.agent_id.clone());
        let mut messages: Vec<_> = lines
            .into_iter()
            .filter(|line| line.candidate == id)
            .filter_map(Line::message)
            .collect();
        // SQL promises no order across a join, though this one keeps it: a check, not a sort.
        messages.sort_by_key(|message| (message.occurred_at, message.id));
        if page.order == Order::Desc {
            messages.reverse();
        }
        Ok(Found::One(Conversation { session_id, agent_id, messages }))
    }

    /// The next messages of a session that is at hand, oldest first, for a walk over all of it.
    pub async fn read_on(
        &self,
        session: &SessionRow,
        page: &PageRequest,
    ) -> Result<Vec<MessageRow>, StoreError> {
        let (start_at, start_id) = page.start();
        let rows = query_as!(
            MessageRow,
            r#"
            SELECT
                id,
                role,
                message,
                occurred_at,
                sent_at,
                received_at,
                altered,
                undated
            FROM messages
            WHERE session_id = $1
                AND occurred_at BETWEEN $2 AND $3
                AND (occurred_at, id) > ($4, $5)
            ORDER BY occurred_at, id
            LIMIT $6
            "#,
            session.id,
            session.started_at.max(start_at),
            session.last_activity_at,
            start_at,
            start_id,
            i64::from(page.limit)
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    /// The first messages of each of some sessions, each session's in order, `limit` at the most.
    pub async fn beginnings(
        &self,
        sessions: &[SessionRow],
        limit: u32,
    ) -> Result<Vec<Vec<MessageRow>>, StoreError> {
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        let from: Vec<_> = sessions.iter().map(|session| session.started_at).collect();
        let to: Vec<_> = sessions.iter().map(|session| session.last_activity_at).collect();
        let rows = query!(
            r#"
            SELECT
                s.place AS "place!",
                m.id,
                m.role,
                m.message,
                m.occurred_at,
                m.sent_at,
                m.received_at,
                m.altered,
                m.undated
            FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
                WITH ORDINALITY AS s (id, started_at, last_activity_at, place)
            CROSS JOIN LATERAL (
                SELECT *
                FROM messages
                WHERE session_id = s.id
                    AND occurred_at BETWEEN s.started_at AND s.last_activity_at
                ORDER BY occurred_at, id
                LIMIT $4
            ) AS m
            ORDER BY s.place, m.occurred_at, m.id
            "#,
            &ids,
            &from,
            &to,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await?;
        let mut beginnings = vec![Vec::new(); sessions.len()];
        for row in rows {
            // Places count from one, and there are as many as sessions.
            let place = usize::try_from(row.place - 1).ok().and_then(|at| beginnings.get_mut(at));
            if let Some(messages) = place {
                messages.push(MessageRow {
                    id: row.id,
                    role: row.role,
                    message: row.message,
                    occurred_at: row.occurred_at,
                    sent_at: row.sent_at,
                    received_at: row.received_at,
                    altered: row.altered,
                    undated: row.undated,
                });
            }
        }
        Ok(beginnings)
    }
}
