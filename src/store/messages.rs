//! Messages of one session, or by key. `beginnings` has the first messages of many sessions.
//!
//! `messages` is partitioned by `occurred_at`, and its key is (`session_id`, `occurred_at`, `id`).
//! Each query has the session's bounds, so it reads only their partitions, and reads in the order
//! of the key, so a page is one range scan. Messages of the same time are sorted by `sent_at`,
//! `received_at` and ID.

mod beginnings;

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as};
use uuid::Uuid;

use super::page::{
    AFTER_ALL, BEFORE_ALL, MessagePlace, Order, PAGE_BYTES, PageRequest, Position, Rows,
};
use super::sessions::SessionRow;
use super::{Store, StoreError};

/// Stored message.
#[derive(Clone, Debug)]
pub struct MessageRow {
    /// Message ID, the same for all duplicates of its delivery.
    pub id: Uuid,
    /// `user`, `assistant`, or the sender's own word.
    pub role: String,
    /// Text.
    pub message: String,
    /// Time of the message, which orders the conversation.
    pub occurred_at: DateTime<Utc>,
    /// Time at which the sender sent it, if given.
    pub sent_at: Option<DateTime<Utc>>,
    /// Time of its first arrival.
    pub received_at: DateTime<Utc>,
    /// Some characters could not be stored and were replaced with U+FFFD.
    pub altered: bool,
    /// The sender gave no time; `occurred_at` is `received_at`.
    pub undated: bool,
}

/// Filter of the messages of a session.
#[derive(Clone, Debug, Default)]
pub struct MessageFilter {
    /// Only this role, or any role of the assistant.
    pub role: Option<String>,
    /// Only later than this.
    pub after: Option<DateTime<Utc>>,
    /// Only earlier than this.
    pub before: Option<DateTime<Utc>>,
    /// Only between these times, both included, such as those of a visit.
    pub within: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl MessageRow {
    /// Returns its position in the conversation.
    #[must_use]
    pub fn position(&self) -> Position<MessagePlace> {
        let sent_at = self.sent_at.unwrap_or(self.occurred_at);
        let key = MessagePlace { sent_at, received_at: self.received_at, id: self.id };
        Position { at: self.occurred_at, key }
    }
}

impl MessageFilter {
    /// Returns the times, both included, between which a page can be: those of the session and of
    /// the filter, after the page's start. Only their partitions are read.
    pub(super) fn bounds(
        &self,
        session: &SessionRow,
        order: Order,
        start_at: DateTime<Utc>,
    ) -> (DateTime<Utc>, DateTime<Utc>) {
        // Times are whole microseconds.
        let step = TimeDelta::microseconds(1);
        let (first, last) = self.within.unwrap_or((session.started_at, session.last_event_at));
        let from = self.after.map_or(BEFORE_ALL, |after| after + step).max(first);
        let to = self.before.map_or(AFTER_ALL, |before| before - step).min(last);
        match order {
            Order::Asc => (from.max(start_at), to),
            Order::Desc => (from, to.min(start_at)),
        }
    }
}

/// Reads a page of a conversation with each column as one array: one row costs both sides far less
/// than fifty. Messages beyond the page's size are without their text.
macro_rules! read_messages {
    ($order:tt, $beyond:tt, $store:ident, $session:ident, $filter:ident, $page:ident) => {{
        // The first page has no position to compare, which would cost four keys a row.
        let after = $page.after.as_ref();
        let (from, to) = $filter.bounds($session, $page.order, $page.start().at);
        let roles = $filter.role.as_deref().map(|role| $store.roles.named(role));
        let columns = query_as!(
            Columns,
            r#"
            SELECT
                array_agg(id) AS "ids: Vec<Uuid>",
                array_agg(role) AS "roles: Vec<String>",
                array_agg(CASE WHEN before < $8 THEN message END) AS "messages: Vec<Option<String>>",
                array_agg(occurred_at) AS "occurred_ats: Vec<DateTime<Utc>>",
                array_agg(sent_at) AS "sent_ats: Vec<Option<DateTime<Utc>>>",
                array_agg(received_at) AS "received_ats: Vec<DateTime<Utc>>",
                array_agg(altered) AS "altered: Vec<bool>",
                array_agg(undated) AS "undated: Vec<bool>"
            FROM (
                SELECT
                    *,
                    sum(octet_length(message)) OVER (
                        ORDER BY occurred_at "#
                + $order
                + r#", said_at "#
                + $order
                + r#", received_at "#
                + $order
                + r#", id "#
                + $order
                + r#" ROWS UNBOUNDED PRECEDING
                    ) - octet_length(message) AS before
                FROM (
                    -- As a column, so that the window is known to be sorted already.
                    SELECT *, COALESCE(sent_at, occurred_at) AS said_at
                    FROM messages
                    WHERE session_id = $1
                        AND occurred_at >= $2
                        AND occurred_at <= $3
                        AND (
                            $4::timestamptz IS NULL
                            OR (occurred_at, COALESCE(sent_at, occurred_at), received_at, id) "#
                + $beyond
                + r#" ($4, $9, $10, $5)
                        )
                        AND ($6::text[] IS NULL OR lower(role COLLATE "C") = ANY ($6))
                    ORDER BY occurred_at "#
                + $order
                + r#", COALESCE(sent_at, occurred_at) "#
                + $order
                + r#", received_at "#
                + $order
                + r#", id "#
                + $order
                + r#"
                    LIMIT $7
                ) AS page
            ) AS measured
            "#,
            $session.id,
            from,
            to,
            after.map(|after| after.at),
            after.map(|after| after.key.id),
            roles.as_deref(),
            i64::from($page.limit),
            PAGE_BYTES,
            after.map(|after| after.key.sent_at),
            after.map(|after| after.key.received_at)
        )
        .fetch_one($store.read_pool.take().await?.connection()?)
        .await?;
        columns
    }};
}

/// The one row of the query above; all columns are null without a message.
struct Columns {
    ids: Option<Vec<Uuid>>,
    roles: Option<Vec<String>>,
    messages: Option<Vec<Option<String>>>,
    occurred_ats: Option<Vec<DateTime<Utc>>>,
    sent_ats: Option<Vec<Option<DateTime<Utc>>>>,
    received_ats: Option<Vec<DateTime<Utc>>>,
    altered: Option<Vec<bool>>,
    undated: Option<Vec<bool>>,
}

impl Columns {
    /// Returns the rows up to the first one beyond the page's size.
    fn into_rows(self) -> Rows<MessageRow> {
        let read = self.ids.as_ref().map_or(0, Vec::len);
        let mut roles = self.roles.into_iter().flatten();
        let mut messages = self.messages.into_iter().flatten();
        let mut occurred_ats = self.occurred_ats.into_iter().flatten();
        let mut sent_ats = self.sent_ats.into_iter().flatten();
        let mut received_ats = self.received_ats.into_iter().flatten();
        let mut altered = self.altered.into_iter().flatten();
        let mut undated = self.undated.into_iter().flatten();
        let row = |id| {
            Some(MessageRow {
                id,
                role: roles.next()?,
                message: messages.next()??,
                occurred_at: occurred_ats.next()?,
                sent_at: sent_ats.next()?,
                received_at: received_ats.next()?,
                altered: altered.next()?,
                undated: undated.next()?,
            })
        };
        let rows: Vec<_> = self.ids.into_iter().flatten().map_while(row).collect();
        Rows { more: rows.len() < read, rows }
    }
}

impl Store {
    /// Reads a page of a conversation, which is shorter than the limit if its texts are long.
    pub async fn read_messages(
        &self,
        session: &SessionRow,
        filter: &MessageFilter,
        page: &PageRequest<MessagePlace>,
    ) -> Result<Rows<MessageRow>, StoreError> {
        let columns = match page.order {
            Order::Asc => read_messages!("ASC", ">", self, session, filter, page),
            Order::Desc => read_messages!("DESC", "<", self, session, filter, page),
        };
        Ok(columns.into_rows())
    }

    /// Reads messages by key: session, time and ID. The last ones are `None` if they do not fit
    /// into a page.
    pub(super) async fn messages_by_key(
        &self,
        keys: &[(Uuid, DateTime<Utc>, Uuid)],
    ) -> Result<HashMap<(Uuid, DateTime<Utc>, Uuid), Option<MessageRow>>, StoreError> {
        let sessions: Vec<_> = keys.iter().map(|key| key.0).collect();
        let times: Vec<_> = keys.iter().map(|key| key.1).collect();
        let ids: Vec<_> = keys.iter().map(|key| key.2).collect();
        let rows = query!(
            r#"
            SELECT
                session_id AS "session_id!",
                id AS "id!",
                role AS "role!",
                CASE WHEN before < $4 THEN message END AS message,
                occurred_at AS "occurred_at!",
                sent_at,
                received_at AS "received_at!",
                altered AS "altered!",
                undated AS "undated!"
            FROM (
                SELECT
                    m.*,
                    sum(octet_length(m.message)) OVER (ORDER BY key.place)
                        - octet_length(m.message) AS before
                FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[])
                    WITH ORDINALITY AS key (session_id, occurred_at, id, place)
                CROSS JOIN LATERAL (
                    SELECT *
                    FROM messages
                    WHERE messages.session_id = key.session_id
                        AND messages.occurred_at = key.occurred_at
                        AND messages.id = key.id
                ) AS m
            ) AS named
            "#,
            &sessions,
            &times,
            &ids,
            PAGE_BYTES
        )
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
        let keyed = rows.into_iter().map(|row| {
            let message = row.message.map(|message| MessageRow {
                id: row.id,
                role: row.role,
                message,
                occurred_at: row.occurred_at,
                sent_at: row.sent_at,
                received_at: row.received_at,
                altered: row.altered,
                undated: row.undated,
            });
            ((row.session_id, row.occurred_at, row.id), message)
        });
        Ok(keyed.collect())
    }
}
