//! Everything that some filters let through, a page at a time, for exports.
//!
//! The order is that of the sessions' ids, and each conversation's own within: nothing ever moves
//! in it, so that what comes meanwhile neither repeats nor hides a row; both are walked along their
//! keys, and no transaction lasts longer than a page.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{query, query_scalar};
use uuid::Uuid;

use super::messages::{MessageFilter, MessageRow};
use super::page::{AFTER_ALL, BEFORE_ALL, MessagePlace, Order, Position};
use super::sessions::{SessionFilter, SessionKey, SessionRow, select_sessions};
use super::{Store, StoreError};

/// Sessions of a page.
const SESSIONS: i64 = 2_000;
/// Sessions that are read for a page: a filter may leave none of them, and a query that read on until
/// it found one could reach its time limit.
const SESSIONS_WALKED: i64 = 20_000;
/// Messages of a page.
const MESSAGES: u32 = 4_000;
/// Bytes of text after which a page ends, however few its messages are: one may have a megabyte.
const TEXT_BYTES: i64 = 4 << 20;

/// Which sessions are exported.
#[derive(Clone, Debug, Default)]
pub struct ExportFilter {
    /// As for the lists.
    pub sessions: SessionFilter,
    /// Only sessions of this sender's id, or the one whose own id it is.
    pub session_id: Option<String>,
    /// Only sessions with an event later than this, be it in the future.
    pub spoken_after: Option<DateTime<Utc>>,
}

/// Sessions in the order of their ids.
#[derive(Debug)]
pub struct SessionWalk {
    store: Store,
    filter: ExportFilter,
    /// What comes next; `None` at the end.
    next: Option<Uuid>,
    /// How far the stretch goes that `next` lies in, where that has been asked.
    stretch: Option<Uuid>,
}

impl SessionWalk {
    /// A walk that begins with the id `first`.
    #[must_use]
    pub fn new(store: Store, filter: ExportFilter, first: Uuid) -> Self {
        Self { store, filter, next: Some(first), stretch: None }
    }

    /// The next sessions. Nothing at the end alone.
    pub async fn next(&mut self) -> Result<Vec<SessionRow>, StoreError> {
        while let Some(first) = self.next {
            let last = match self.stretch {
                Some(last) => last,
                None => {
                    self.store.stretch_of_sessions(first, self.filter.session_id.as_deref()).await?
                }
            };
            let rows = self.store.walk_sessions(&self.filter, first, last).await?;
            let full = rows.len() == usize::try_from(SESSIONS).unwrap_or(usize::MAX);
            let end = rows.last().filter(|_| full).map_or(last, |row| row.id);
            self.stretch = (end < last).then_some(last);
            self.next = following(end);
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }
}

/// The id after this one.
#[must_use]
pub fn following(id: Uuid) -> Option<Uuid> {
    id.as_u128().checked_add(1).map(Uuid::from_u128)
}

/// A message and whose conversation it belongs to.
#[derive(Clone, Debug)]
pub struct ExportedMessage {
    /// The conversation.
    pub session: Arc<SessionRow>,
    /// What was said.
    pub row: MessageRow,
}

/// Messages in the order of their sessions' ids, and of each conversation.
#[derive(Debug)]
pub struct MessageWalk {
    sessions: SessionWalk,
    filter: MessageFilter,
    /// Sessions whose messages are still to come; of the first one, those after the position.
    ahead: VecDeque<Arc<SessionRow>>,
    start: Option<(Uuid, Position<MessagePlace>)>,
}

impl MessageWalk {
    /// A walk through the messages of some sessions, after the message of `start` where there is
    /// one: its session and its place in there.
    #[must_use]
    pub fn new(
        store: Store,
        mut sessions: ExportFilter,
        filter: MessageFilter,
        start: Option<(Uuid, Position<MessagePlace>)>,
    ) -> Self {
        // A session without an event in that time has nothing to say in it.
        sessions.spoken_after = filter.after;
        sessions.sessions.started_before = filter.before;
        let first = start.as_ref().map_or(Uuid::nil(), |(session, _)| *session);
        let sessions = SessionWalk::new(store, sessions, first);
        Self { sessions, filter, ahead: VecDeque::new(), start }
    }

    /// A walk through the messages of one session alone.
    #[must_use]
    pub fn of_session(store: Store, session: SessionRow, filter: MessageFilter) -> Self {
        let filters = ExportFilter::default();
        let sessions = SessionWalk { store, filter: filters, next: None, stretch: None };
        Self { sessions, filter, ahead: VecDeque::from([Arc::new(session)]), start: None }
    }

    /// The next messages. Nothing at the end alone.
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

    /// As many of the sessions ahead as fill a page by their counts.
    fn batch(&self) -> Vec<Arc<SessionRow>> {
        let mut room = i64::from(MESSAGES);
        let fits = |session: &&Arc<SessionRow>| {
            let fits = room > 0;
            room -= session.message_count;
            fits
        };
        self.ahead.iter().take_while(fits).cloned().collect()
    }

    /// Messages of these sessions, and whether that is all of them.
    async fn read(
        &self,
        batch: &[Arc<SessionRow>],
    ) -> Result<(Vec<ExportedMessage>, bool), StoreError> {
        let mut asked = Asked::default();
        for session in batch {
            let start = self.start.as_ref().filter(|(id, _)| *id == session.id);
            let (start_at, start) =
                start.map_or((BEFORE_ALL, MessagePlace::FIRST), |(_, place)| (place.at, place.key));
            let (from, to) = self.filter.bounds(session, Order::Asc, start_at);
            asked.ids.push(session.id);
            asked.from.push(from);
            asked.to.push(to);
            // Where the walk begins later than its position, the tie-break is of no account.
            let beyond = if from == start_at { start } else { MessagePlace::FIRST };
            asked.sent_at.push(beyond.sent_at);
            asked.received_at.push(beyond.received_at);
            asked.beyond.push(beyond.id);
        }
        self.sessions.store.walk_messages(&asked, self.filter.role.as_deref(), batch).await
    }
}

/// Sessions whose messages are wanted, and between which times: a column each.
#[derive(Debug, Default)]
struct Asked {
    ids: Vec<Uuid>,
    from: Vec<DateTime<Utc>>,
    to: Vec<DateTime<Utc>>,
    /// Of messages at the very time `from`, only those behind this place.
    sent_at: Vec<DateTime<Utc>>,
    received_at: Vec<DateTime<Utc>>,
    beyond: Vec<Uuid>,
}

/// Sessions within a stretch of ids. `$named` narrows it down to those of a name, by another index.
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
    /// How far a walk may look from here in one query. One session by its name needs no bound.
    async fn stretch_of_sessions(
        &self,
        first: Uuid,
        named: Option<&str>,
    ) -> Result<Uuid, StoreError> {
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

    /// Sessions with ids from `first` to `last`, both included: a page of them.
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

    /// A page of the messages that are asked for, and whether there are no more of them.
    async fn walk_messages(
        &self,
        asked: &Asked,
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
            &asked.ids,
            &asked.from,
            &asked.to,
            &asked.beyond,
            roles.as_deref(),
            i64::from(MESSAGES),
            TEXT_BYTES,
            &asked.sent_at,
            &asked.received_at
        )
        .fetch_all(&self.pool)
        .await?;
        // Each session gives a page at the most: where one has given that, there may be more of it.
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
