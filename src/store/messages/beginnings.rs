//! First messages of many sessions.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::MessageRow;
use crate::store::page::PAGE_BYTES;
use crate::store::sessions::SessionRow;
use crate::store::{Store, StoreError};

/// Bytes that a message counts for besides its text in a page of sessions: its other columns, as a
/// row and as JSON.
const BESIDE_TEXT: i32 = 512;

/// Message with the place of its session, counted from one, and the numbers of messages that the
/// session and all sessions have, with those beyond the page's size.
struct Row {
    place: i64,
    id: Uuid,
    role: String,
    message: String,
    occurred_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
    altered: bool,
    undated: bool,
    of_session: i64,
    of_all: i64,
}

impl Row {
    fn into_message(self) -> MessageRow {
        MessageRow {
            id: self.id,
            role: self.role,
            message: self.message,
            occurred_at: self.occurred_at,
            sent_at: self.sent_at,
            received_at: self.received_at,
            altered: self.altered,
            undated: self.undated,
        }
    }
}

impl Store {
    /// Reads the first `limit` messages of each session, in order, for as many sessions as fit into
    /// a page. A single session larger than a page is cut off.
    pub async fn beginnings(
        &self,
        sessions: &[SessionRow],
        limit: u32,
    ) -> Result<Vec<Vec<MessageRow>>, StoreError> {
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        let from: Vec<_> = sessions.iter().map(|session| session.started_at).collect();
        let to: Vec<_> = sessions.iter().map(|session| session.last_event_at).collect();
        let rows = query_as!(
            Row,
            r#"
            SELECT
                place AS "place!",
                id AS "id!",
                role AS "role!",
                message AS "message!",
                occurred_at AS "occurred_at!",
                sent_at,
                received_at AS "received_at!",
                altered AS "altered!",
                undated AS "undated!",
                of_session AS "of_session!",
                of_all AS "of_all!"
            FROM (
                SELECT
                    s.place,
                    m.*,
                    count(*) OVER (PARTITION BY s.place) AS of_session,
                    count(*) OVER () AS of_all,
                    sum(octet_length(m.message) + $6::int) OVER (
                        ORDER BY
                            s.place,
                            m.occurred_at,
                            m.said_at,
                            m.received_at,
                            m.id
                        ROWS UNBOUNDED PRECEDING
                    ) - octet_length(m.message) - $6::int AS before
                FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
                    WITH ORDINALITY AS s (id, started_at, last_event_at, place)
                CROSS JOIN LATERAL (
                    SELECT *, COALESCE(sent_at, occurred_at) AS said_at
                    FROM messages
                    WHERE session_id = s.id
                        AND occurred_at BETWEEN s.started_at AND s.last_event_at
                    ORDER BY occurred_at, COALESCE(sent_at, occurred_at), received_at, id
                    LIMIT $4
                ) AS m
            ) AS measured
            WHERE before < $5
            ORDER BY place, occurred_at, said_at, received_at, id
            "#,
            &ids,
            &from,
            &to,
            i64::from(limit),
            PAGE_BYTES,
            BESIDE_TEXT
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(group(rows, sessions.len()))
    }
}

/// Groups messages by session. If the page is cut off, only sessions with all of their messages are
/// returned, and at least the first one.
fn group(rows: Vec<Row>, sessions: usize) -> Vec<Vec<MessageRow>> {
    let all = rows.first().map_or(0, |row| row.of_all);
    let cut_in = rows.last().filter(|_| i64::try_from(rows.len()).is_ok_and(|got| got < all));
    let cut_in = cut_in.map(|row| (row.place, row.of_session));
    let mut beginnings = vec![Vec::new(); sessions];
    for row in rows {
        // Places count from one, and there are as many as sessions.
        let place = usize::try_from(row.place - 1).ok().and_then(|at| beginnings.get_mut(at));
        if let Some(messages) = place {
            messages.push(row.into_message());
        }
    }
    if let Some((place, of_session)) = cut_in.and_then(|(place, of_session)| {
        Some((usize::try_from(place).ok()?, usize::try_from(of_session).ok()?))
    }) {
        let whole = beginnings.get(place - 1).is_some_and(|last| last.len() == of_session);
        beginnings.truncate(if whole { place } else { (place - 1).max(1) });
    }
    beginnings
}
