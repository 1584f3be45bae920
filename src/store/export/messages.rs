//! Walk along messages, for exports.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::{ExportFilter, SessionWalk};
use crate::store::messages::{MessageFilter, MessageRow};
use crate::store::page::{BEFORE_ALL, MessagePlace, Order, Position};
use crate::store::sessions::SessionRow;
use crate::store::{Store, StoreError};

/// Messages on a page.
const MESSAGES: u32 = 4_000;
/// Bytes of text after which a page ends: a single message can have a megabyte.
const TEXT_BYTES: i64 = 4 << 20;

/// Message with its session.
#[derive(Clone, Debug)]
pub struct ExportedMessage {
    /// Session of the message.
    pub session: Arc<SessionRow>,
    /// The message.
    pub row: MessageRow,
}

/// Walk along messages by session ID, in the order of each conversation.
#[derive(Debug)]
pub struct MessageWalk {
    sessions: SessionWalk,
    filter: MessageFilter,
    /// Sessions with messages left; of the first one, those after `start`.
    ahead: VecDeque<Arc<SessionRow>>,
    start: Option<(Uuid, Position<MessagePlace>)>,
}

impl MessageWalk {
    /// Creates a walk along the messages of some sessions, after the message `start`: its session
    /// and its position there.
    #[must_use]
    pub fn new(
        store: Store,
        mut sessions: ExportFilter,
        filter: MessageFilter,
        start: Option<(Uuid, Position<MessagePlace>)>,
    ) -> Self {
        // A session without an event in that time has no message in it.
        sessions.spoken_after = filter.after;
        sessions.sessions.started_before = filter.before;
        let first = start.as_ref().map_or(Uuid::nil(), |(session, _)| *session);
        let sessions = SessionWalk::new(store, sessions, first);
        Self { sessions, filter, ahead: VecDeque::new(), start }
    }

    /// Creates a walk along the messages of one session.
    #[must_use]
    pub fn of_session(store: Store, session: SessionRow, filter: MessageFilter) -> Self {
        let filters = ExportFilter::default();
        let sessions = SessionWalk { store, filter: filters, next: None, range_end: None };
        Self { sessions, filter, ahead: VecDeque::from([Arc::new(session)]), start: None }
    }

    /// Returns the next messages; empty only at the end.
    pub async fn next(&mut self) -> Result<Vec<ExportedMessage>, StoreError> {
        loop {
            if self.ahead.is_empty() {
                self.ahead = self.sessions.next().await?.into_iter().map(Arc::new).collect();
                if self.ahead.is_empty() {
                    return Ok(Vec::new());
                }
            }
            let batch = self.batch();
            let (messages, whole) = self.read(&batch).await?;
            match messages.last().filter(|_| !whole) {
                Some(last) => {
                    let ended = batch.iter().take_while(|each| each.id != last.session.id).count();
                    self.ahead.drain(..ended);
                    self.start = Some((last.session.id, last.row.position()));
                }
                None => drop(self.ahead.drain(..batch.len())),
            }
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    /// Returns as many of the sessions ahead as fill a page, by their counts.
    fn batch(&self) -> Vec<Arc<SessionRow>> {
        let mut room = i64::from(MESSAGES);
        let fits = |session: &&Arc<SessionRow>| {
            let fits = room > 0;
            room -= session.message_count;
            fits
        };
        self.ahead.iter().take_while(fits).cloned().collect()
    }

    /// Reads messages of these sessions, and returns whether these are all of them.
    async fn read(
        &self,
        batch: &[Arc<SessionRow>],
    ) -> Result<(Vec<ExportedMessage>, bool), StoreError> {
        let mut ranges = MessageRanges::default();
        for session in batch {
            let start = self.start.as_ref().filter(|(id, _)| *id == session.id);
            let (start_at, start) =
                start.map_or((BEFORE_ALL, MessagePlace::FIRST), |(_, place)| (place.at, place.key));
            let (from, to) = self.filter.bounds(session, Order::Asc, start_at);
            ranges.ids.push(session.id);
            ranges.from.push(from);
            ranges.to.push(to);
            // Where the range begins after the position, there is no tie to break.
            let beyond = if from == start_at { start } else { MessagePlace::FIRST };
            ranges.sent_at.push(beyond.sent_at);
            ranges.received_at.push(beyond.received_at);
            ranges.beyond.push(beyond.id);
        }
        self.sessions.store.walk_messages(&ranges, self.filter.role.as_deref(), batch).await
    }
}

/// Sessions with the time ranges of the wanted messages, as columns.
#[derive(Debug, Default)]
struct MessageRanges {
    ids: Vec<Uuid>,
    from: Vec<DateTime<Utc>>,
    to: Vec<DateTime<Utc>>,
    /// Of messages at exactly `from`, only those after this place.
    sent_at: Vec<DateTime<Utc>>,
    received_at: Vec<DateTime<Utc>>,
    beyond: Vec<Uuid>,
}

/// Message with the place of its session, counted from one, and the number of messages that were
/// found.
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
    all_of_them: i64,
}

impl Row {
    /// Returns the message with its session. There are as many places as sessions.
    fn into_message(self, sessions: &[Arc<SessionRow>]) -> Option<ExportedMessage> {
        let session = usize::try_from(self.place - 1).ok().and_then(|at| sessions.get(at))?.clone();
        let row = MessageRow {
            id: self.id,
            role: self.role,
            message: self.message,
            occurred_at: self.occurred_at,
            sent_at: self.sent_at,
            received_at: self.received_at,
            altered: self.altered,
            undated: self.undated,
        };
        Some(ExportedMessage { session, row })
    }
}

impl Store {
    /// Returns a page of the wanted messages, and whether these are all of them.
    async fn walk_messages(
        &self,
        ranges: &MessageRanges,
        role: Option<&str>,
        sessions: &[Arc<SessionRow>],
    ) -> Result<(Vec<ExportedMessage>, bool), StoreError> {
        let roles = role.map(|role| self.roles.named(role));
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
                all_of_them AS "all_of_them!"
            FROM (
                SELECT
                    s.place,
                    m.*,
                    count(*) OVER () AS all_of_them,
                    sum(octet_length(m.message)) OVER (
                        ORDER BY
                            s.place,
                            m.occurred_at,
                            m.said_at,
                            m.received_at,
                            m.id
                        ROWS UNBOUNDED PRECEDING
                    ) - octet_length(m.message) AS bytes_before
                FROM unnest(
                    $1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::uuid[],
                    $8::timestamptz[], $9::timestamptz[]
                ) WITH ORDINALITY AS s (id, from_at, to_at, beyond, sent_at, received_at, place)
                CROSS JOIN LATERAL (
                    SELECT *, COALESCE(messages.sent_at, occurred_at) AS said_at
                    FROM messages
                    WHERE session_id = s.id
                        AND occurred_at BETWEEN s.from_at AND s.to_at
                        AND (occurred_at, COALESCE(messages.sent_at, occurred_at),
                            messages.received_at, messages.id)
                            > (s.from_at, s.sent_at, s.received_at, s.beyond)
                        AND ($5::text[] IS NULL OR lower(role COLLATE "C") = ANY ($5))
                    ORDER BY occurred_at, COALESCE(messages.sent_at, occurred_at),
                        messages.received_at, messages.id
                    LIMIT $6
                ) AS m
            ) AS page
            WHERE bytes_before < $7
            ORDER BY place, occurred_at, said_at, received_at, id
            LIMIT $6
            "#,
            &ranges.ids,
            &ranges.from,
            &ranges.to,
            &ranges.beyond,
            roles.as_deref(),
            i64::from(MESSAGES),
            TEXT_BYTES,
            &ranges.sent_at,
            &ranges.received_at
        )
        .fetch_all(&self.pool)
        .await?;
        // Each session yields at most a page, so one with a full page may have more.
        let all = rows.first().map_or(0, |row| row.all_of_them);
        let whole = i64::try_from(rows.len()) == Ok(all) && all < i64::from(MESSAGES);
        let messages = rows.into_iter().filter_map(|row| row.into_message(sessions)).collect();
        Ok((messages, whole))
    }
}
