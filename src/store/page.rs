//! Pages of a list, by key and never by offset, so new rows neither repeat nor hide others.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Direction of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Oldest first.
    Asc,
    /// Newest first.
    Desc,
}

impl Order {
    /// Returns the other order.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Asc => Self::Desc,
            Self::Desc => Self::Asc,
        }
    }
}

/// Position of a row in a list: its time, and a tie-break for rows of the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<K = Uuid> {
    /// Time that orders the list.
    pub at: DateTime<Utc>,
    /// Tie-break.
    pub key: K,
}

/// Order of messages of the same time: by `sent_at`, first arrival and ID. A message without
/// `sent_at` counts as sent at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagePlace {
    /// Time of sending.
    pub sent_at: DateTime<Utc>,
    /// Time of the first arrival.
    pub received_at: DateTime<Utc>,
    /// Message ID.
    pub id: Uuid,
}

impl MessagePlace {
    /// Place before all messages of a time.
    pub(super) const FIRST: Self =
        Self { sent_at: BEFORE_ALL, received_at: BEFORE_ALL, id: Uuid::nil() };
    /// Place after all messages of a time.
    pub(super) const LAST: Self =
        Self { sent_at: AFTER_ALL, received_at: AFTER_ALL, id: Uuid::max() };
}

/// Request for a page of a list.
#[derive(Clone, Debug)]
pub struct PageRequest<K = Uuid> {
    /// Last row of the previous page; `None` is the start.
    pub after: Option<Position<K>>,
    /// Direction.
    pub order: Order,
    /// Most rows.
    pub limit: u32,
}

/// Bytes of messages after which a page ends before its limit: a message can have a megabyte, and a
/// page is in memory as rows and as JSON. One message may exceed it, so every page makes progress.
pub(super) const PAGE_BYTES: i64 = 8 << 20;

/// Rows of a page.
#[derive(Clone, Debug)]
pub struct Rows<R> {
    /// Rows that fit on the page.
    pub rows: Vec<R>,
    /// More rows exist, whatever the page's limit.
    pub more: bool,
}

// Postgres' infinities have no counterpart in chrono, and a bound that is always there avoids an
// `OR` in conditions of an index walk.
/// Time before all stored times.
pub const BEFORE_ALL: DateTime<Utc> = year(1);
/// Time after all stored times.
pub const AFTER_ALL: DateTime<Utc> = year(9999);

const fn year(year: i32) -> DateTime<Utc> {
    match chrono::NaiveDate::from_ymd_opt(year, 1, 1) {
        Some(date) => date.and_time(chrono::NaiveTime::MIN).and_utc(),
        None => DateTime::UNIX_EPOCH,
    }
}

impl Position<MessagePlace> {
    /// Returns the position right before this one in an order: a list after it begins with the
    /// message itself. IDs are hashes, so no other message has the adjacent ID.
    #[must_use]
    pub fn just_before(&self, order: Order) -> Self {
        let id = self.key.id.as_u128();
        let id = Uuid::from_u128(match order {
            Order::Asc => id.saturating_sub(1),
            Order::Desc => id.saturating_add(1),
        });
        Self { at: self.at, key: MessagePlace { id, ..self.key } }
    }
}

impl PageRequest {
    /// Returns the position to continue from, or the start of the list.
    pub(super) fn start(&self) -> (DateTime<Utc>, Uuid) {
        match (&self.after, self.order) {
            (Some(position), _) => (position.at, position.key),
            (None, Order::Asc) => (BEFORE_ALL, Uuid::nil()),
            (None, Order::Desc) => (AFTER_ALL, Uuid::max()),
        }
    }
}

impl PageRequest<MessagePlace> {
    /// Returns the position to continue from, or the start of the conversation.
    pub(super) fn start(&self) -> Position<MessagePlace> {
        match (&self.after, self.order) {
            (Some(position), _) => position.clone(),
            (None, Order::Asc) => Position { at: BEFORE_ALL, key: MessagePlace::FIRST },
            (None, Order::Desc) => Position { at: AFTER_ALL, key: MessagePlace::LAST },
        }
    }
}
