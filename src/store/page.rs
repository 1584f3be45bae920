//! Which part of a list is asked for: by key, never by offset, so that rows which come in
//! meanwhile neither repeat nor hide others.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Which way a list runs.
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

/// Where a row stands in a list: its time, and what orders rows of the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position<K = Uuid> {
    /// The time that orders the list.
    pub at: DateTime<Utc>,
    /// The tie-break.
    pub key: K,
}

/// What orders messages of the same time: when the sender sent them, when they first arrived, and
/// their ids. One that does not say when it was sent counts as sent when it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagePlace {
    /// When it was sent.
    pub sent_at: DateTime<Utc>,
    /// When it first arrived.
    pub received_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl MessagePlace {
    /// Before all messages of a time.
    pub(super) const FIRST: Self =
        Self { sent_at: BEFORE_ALL, received_at: BEFORE_ALL, id: Uuid::nil() };
    /// After all messages of a time.
    pub(super) const LAST: Self =
        Self { sent_at: AFTER_ALL, received_at: AFTER_ALL, id: Uuid::max() };
}

/// A part of a list.
#[derive(Clone, Debug)]
pub struct PageRequest<K = Uuid> {
    /// The last row that the caller has seen; `None` is the start.
    pub after: Option<Position<K>>,
    /// Which way.
    pub order: Order,
    /// Most rows to give.
    pub limit: u32,
}

/// Bytes of messages on a page, beyond which it is shorter than its limit: a message may have a
/// megabyte, and a page is held whole, as rows and as JSON. One message may pass it, so that there
/// is always some progress.
pub(super) const PAGE_BYTES: i64 = 8 << 20;

/// Rows of a page.
#[derive(Clone, Debug)]
pub struct Rows<R> {
    /// As many as there is room for.
    pub rows: Vec<R>,
    /// There are more than these, whatever the page's limit is.
    pub more: bool,
}

// Postgres' own infinities have no counterpart here, and a bound that is always there keeps `OR` out
// of the conditions that walk an index.
/// A time before all that is stored.
pub const BEFORE_ALL: DateTime<Utc> = year(1);
/// A time after all that is stored.
pub const AFTER_ALL: DateTime<Utc> = year(9999);

const fn year(year: i32) -> DateTime<Utc> {
    match chrono::NaiveDate::from_ymd_opt(year, 1, 1) {
        Some(date) => date.and_time(chrono::NaiveTime::MIN).and_utc(),
        None => DateTime::UNIX_EPOCH,
    }
}

impl Position<MessagePlace> {
    /// Returns the position right before this one, seen in an order: a list that begins behind it
    /// begins with the message itself. Ids are hashes, so no message has the id beside another's.
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
    /// The position to go on from, the start of the list included.
    pub(super) fn start(&self) -> (DateTime<Utc>, Uuid) {
        match (&self.after, self.order) {
            (Some(position), _) => (position.at, position.key),
            (None, Order::Asc) => (BEFORE_ALL, Uuid::nil()),
            (None, Order::Desc) => (AFTER_ALL, Uuid::max()),
        }
    }
}

impl PageRequest<MessagePlace> {
    /// The position to go on from, the start of the conversation included.
    pub(super) fn start(&self) -> Position<MessagePlace> {
        match (&self.after, self.order) {
            (Some(position), _) => position.clone(),
            (None, Order::Asc) => Position { at: BEFORE_ALL, key: MessagePlace::FIRST },
            (None, Order::Desc) => Position { at: AFTER_ALL, key: MessagePlace::LAST },
        }
    }
}
