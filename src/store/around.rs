//! Page of messages around one message.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::messages::{MessageFilter, MessageRow};
use super::page::{MessagePlace, Order, PageRequest, Position, Rows};
use super::sessions::SessionRow;
use super::{Store, StoreError};

/// Messages before and after one, in the order of the list.
#[derive(Clone, Debug)]
pub struct Around {
    /// Position of the message.
    pub position: Position<MessagePlace>,
    /// Messages before it, the message, and messages after it.
    pub rows: Vec<MessageRow>,
    /// More messages come before these.
    pub more_before: bool,
    /// More messages come after these.
    pub more_after: bool,
}

/// Place of a message in its conversation.
struct Place {
    occurred_at: DateTime<Utc>,
    sent_at: Option<DateTime<Utc>>,
    received_at: DateTime<Utc>,
}

impl Store {
    /// Returns up to `limit` messages around the message `id`: half of them precede it in `order`.
    /// `None` if the session has no such message. A message that does not match the filter still
    /// has neighbours.
    pub async fn read_messages_around(
        &self,
        session: &SessionRow,
        filter: &MessageFilter,
        id: Uuid,
        order: Order,
        limit: u32,
    ) -> Result<Option<Around>, StoreError> {
        let Some(position) = self.find_message_position(session, id).await? else {
            return Ok(None);
        };
        let half = limit / 2;
        let before = self.read_limited(session, filter, &position, order.reversed(), half).await?;
        let from = position.just_before(order);
        let after = self.read_limited(session, filter, &from, order, limit - half).await?;
        let rows = before.rows.into_iter().rev().chain(after.rows).collect();
        Ok(Some(Around { position, rows, more_before: before.more, more_after: after.more }))
    }

    /// Reads up to `limit` messages after a position; `limit` may be 0.
    async fn read_limited(
        &self,
        session: &SessionRow,
        filter: &MessageFilter,
        after: &Position<MessagePlace>,
        order: Order,
        limit: u32,
    ) -> Result<Rows<MessageRow>, StoreError> {
        let page = PageRequest { after: Some(after.clone()), order, limit: limit + 1 };
        let mut found = self.read_messages(session, filter, &page).await?;
        found.more |= found.rows.len() > limit as usize;
        found.rows.truncate(limit as usize);
        Ok(found)
    }

    /// Finds a message in its session. The ID is in the key, so only the session's index entries
    /// are read, and one row.
    async fn find_message_position(
        &self,
        session: &SessionRow,
        id: Uuid,
    ) -> Result<Option<Position<MessagePlace>>, StoreError> {
        let place = sqlx::query_as!(
            Place,
            "SELECT occurred_at, sent_at, received_at
             FROM messages
             WHERE session_id = $1 AND occurred_at BETWEEN $2 AND $3 AND id = $4
             LIMIT 1",
            session.id,
            session.started_at,
            session.last_event_at,
            id
        )
        .fetch_optional(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(place.map(|Place { occurred_at, sent_at, received_at }| {
            let sent_at = sent_at.unwrap_or(occurred_at);
            Position { at: occurred_at, key: MessagePlace { sent_at, received_at, id } }
        }))
    }
}
