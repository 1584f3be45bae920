//! Reads everything that matches some filters, a page at a time, for exports.
//!
//! The order is by session ID, then the order of each conversation. Rows never move in it, so new
//! rows neither repeat nor hide others. Both are walks along a key, and no transaction is longer
//! than a page.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use super::messages::{MessageFilter, MessageRow};
use super::page::{AFTER_ALL, BEFORE_ALL, MessagePlace, Order, Position};
use super::sessions::{SessionFilter, SessionKey, SessionRow, select_sessions};
use super::{Store, StoreError};

/// Sessions on a page.
const SESSIONS: i64 = 2_000;
/// Sessions read for a page. A filter may exclude all of them, and a query that read until it found
/// one could exceed the statement timeout.
const SESSIONS_WALKED: i64 = 20_000;
/// Messages on a page.
const MESSAGES: u32 = 4_000;
/// Bytes of text after which a page ends: a single message can have a megabyte.
const TEXT_BYTES: i64 = 4 << 20;

/// Filter of exported sessions.
#[derive(Clone, Debug, Default)]
pub struct ExportFilter {
    /// Filters of the session lists.
    pub sessions: SessionFilter,
    /// Only sessions with this sender's ID, or the session with this ID of ours.
    pub session_id: Option<String>,
    /// Only sessions with a later event, which may be in the future.
    pub spoken_after: Option<DateTime<Utc>>,
}

/// Walk along sessions by ID.
#[derive(Debug)]
pub struct SessionWalk {
    store: Store,
    filter: ExportFilter,
    /// First ID of the next page; `None` at the end.
    next: Option<Uuid>,
    /// Last ID of the range with `next`, if it has been read.
    range_end: Option<Uuid>,
}

impl SessionWalk {
    /// Creates a walk that begins with the ID `first`.
    #[must_use]
    pub fn new(store: Store, filter: ExportFilter, first: Uuid) -> Self {
        Self { store, filter, next: Some(first), range_end: None }
    }

    /// Returns the next sessions; empty only at the end.
    pub async fn next(&mut self) -> Result<Vec<SessionRow>, StoreError> {
        while let Some(first) = self.next {
            let last = match self.range_end {
                Some(last) => last,
                None => self.store.end_of_range(first, self.filter.session_id.as_deref()).await?,
            };
            let rows = self.store.walk_sessions(&self.filter, first, last).await?;
            let full = rows.len() == usize::try_from(SESSIONS).unwrap_or(usize::MAX);
            let end = rows.last().filter(|_| full).map_or(last, |row| row.id);
            self.range_end = (end < last).then_some(last);
            self.next = following(end);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }
}

/// Returns the ID after this one.
#[must_use]
pub fn following(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_add(1).map(Uuid::from_u128)
}

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

/// Selects sessions in a range of IDs. `$named` restricts them to an ID, by another index.
macro_rules! walk_sessions {
    (
        $named:tt, $store:ident, $filter:ident, $first:ident, $last:ident, $spoken_after:ident
        $(, $name:ident, $id:ident)?
    ) => {
        select_sessions!(
            [r#"
            WHERE id BETWEEN $1 AND $2
                AND ($3::text[] IS NULL OR agent_id = ANY ($3))
                AND last_activity_at > $4
                AND last_activity_at < $5
                AND ($6::text IS NULL OR source = $6)
                AND ($7::text IS NULL OR room_name = $7)
                AND ($8::text IS NULL OR $8 = CASE
                    WHEN GREATEST(end_event_at, last_end_at) >= last_activity_at
                        OR last_activity_at <= $10 THEN 'ended'
                    WHEN last_activity_at <= $9 THEN 'idle'
                    ELSE 'live'
                END)
                AND ($11::text IS NULL OR $11 = CASE
                    WHEN joined_at IS NOT NULL THEN 'room.join'
                    WHEN message_count > 0 THEN 'chat.push'
                END)
                AND started_at > $12
                AND started_at < $13
                AND ($14::bigint IS NULL OR message_count >= $14)
                AND GREATEST(last_activity_at, last_event_at) > $16
                "# + $named + r#"
            ORDER BY id
            LIMIT $15
            "#],
            $first,
            $last,
            $filter.agents.as_deref(),
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
            SESSIONS,
            $spoken_after,
            $($name, $id)?
        )
        .fetch_all(&$store.pool)
        .await
    };
}

impl Store {
    /// Returns the end of the range that one query may read. A filter on an ID needs no bound.
    async fn end_of_range(&self, first: Uuid, named: Option<&str>) -> Result<Uuid, StoreError> {
        if named.is_some() {
            return Ok(Uuid::max());
        }
        let last = query_scalar!(
            "SELECT id FROM sessions WHERE id >= $1 ORDER BY id OFFSET $2 LIMIT 1",
            first,
            SESSIONS_WALKED - 1
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(last.unwrap_or(Uuid::max()))
    }

    /// Returns a page of sessions with IDs from `first` to `last`, both included.
    async fn walk_sessions(
        &self,
        filter: &ExportFilter,
        first: Uuid,
        last: Uuid,
    ) -> Result<Vec<SessionRow>, StoreError> {
        let sessions = &filter.sessions;
        let spoken_after = filter.spoken_after.unwrap_or(BEFORE_ALL);
        let Some(name) = filter.session_id.as_deref() else {
            return Ok(walk_sessions!("", self, sessions, first, last, spoken_after)?);
        };
        let key = SessionKey { session_id: name, agent_id: None, source: None, visible: None };
        let id = key.id();
        Ok(walk_sessions!(
            "AND (sender_session_id = $17 OR id = $18)",
            self,
            sessions,
            first,
            last,
            spoken_after,
            name,
            id
        )?)
    }

    /// Returns a page of the wanted messages, and whether these are all of them.
    async fn walk_messages(
        &self,
        ranges: &MessageRanges,
        role: Option<&str>,
        sessions: &[Arc<SessionRow>],
    ) -> Result<(Vec<ExportedMessage>, bool), StoreError> {
        let roles = role.map(|role| self.roles.named(role));
        let rows = query!(
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
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            // Places count from one, and there are as many as sessions.
            let place = usize::try_from(row.place - 1).ok().and_then(|at| sessions.get(at));
            let Some(session) = place.cloned() else { continue };
            let row = MessageRow {
                id: row.id,
                role: row.role,
                message: row.message,
                occurred_at: row.occurred_at,
                sent_at: row.sent_at,
                received_at: row.received_at,
                altered: row.altered,
                undated: row.undated,
            };
            messages.push(ExportedMessage { session, row });
        }
        Ok((messages, whole))
    }
}
