//! Reads everything that matches some filters, a page at a time, for exports.
//!
//! The order is by session ID, then the order of each conversation. Rows never move in it, so new
//! rows neither repeat nor hide others. Both are walks along a key, and no transaction is longer
//! than a page.

mod messages;

use chrono::{DateTime, Utc};
use sqlx::query_scalar;
use uuid::Uuid;

use super::page::{AFTER_ALL, BEFORE_ALL};
use super::sessions::{SessionFilter, SessionKey, SessionRow, select_sessions};
use super::{Store, StoreError};
pub use messages::{ExportedMessage, MessageWalk};

/// Sessions on a page.
const SESSIONS: i64 = 2_000;
/// Sessions read for a page. A filter may exclude all of them, and a query that read until it found
/// one could exceed the statement timeout.
const SESSIONS_WALKED: i64 = 20_000;

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
}
