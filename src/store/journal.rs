//! The journal, for whoever follows along: entries in the order of their commits, so that a reader
//! that goes on from where it stopped misses nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Position, Store, StoreError};

/// What one transaction brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its number: one more than that of the entry before.
    pub seq: i64,
    /// When the newest of its deliveries arrived.
    pub received_at: DateTime<Utc>,
    /// Messages that were new.
    pub messages: Vec<MessageKey>,
    /// Sessions that were new or have changed.
    pub sessions: Vec<Uuid>,
}

/// The key of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// Our id of its session.
    pub session_id: Uuid,
    /// Its time.
    pub occurred_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// What is gone for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The id of its receipt; of what was over age an id of its own.
    pub id: Uuid,
    /// How much.
    pub kind: ErasureKind,
    /// Whose.
    pub agent_id: String,
    /// Which session; `None` where it is all that the agent had.
    pub session: Option<ErasedSession>,
    /// When.
    pub at: DateTime<Utc>,
    /// Only what was said before; `None` where it is all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<DateTime<Utc>>,
}

/// How much was erased, or why it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureKind {
    /// One session.
    Session,
    /// An agent with all its sessions.
    Agent,
    /// A session, or its beginning, that was over age.
    Retention,
}

/// By what an erased session was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedSession {
    /// Ours.
    pub id: Uuid,
    /// The sender's id.
    pub session_id: String,
    /// The source that delivered it.
    pub source: String,
}

/// How far somebody has read: so many items of an entry, and all entries before it. The items are
/// counted before any filter, sessions first, then messages, then the erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The entry; 0 is before the first one.
    pub seq: i64,
    /// How many of its items.
    pub items: u32,
}

impl Position<Place> {
    /// Before everything.
    pub const START: Self = Self { at: DateTime::UNIX_EPOCH, key: Place { seq: 0, items: 0 } };
}

/// The entries that a reader goes on with.
pub(super) struct Stretch {
    /// In order; the first may be the one that was read in part.
    pub(super) entries: Vec<Entry>,
    /// There are more behind them.
    pub(super) more: bool,
}

/// An entry.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) received_at: DateTime<Utc>,
    pub(super) sessions: Vec<Uuid>,
    pub(super) messages: Vec<MessageKey>,
    pub(super) erasure: Option<Erasure>,
}

impl Store {
    /// The entries after `seq`, oldest first. An entry has a thousand messages at the most, give or
    /// take a large batch.
    pub async fn journal_after(
        &self,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let stretch = self.stretch(seq.saturating_add(1), limit).await?;
        let entries = stretch.entries.into_iter().map(|entry| JournalEntry {
            seq: entry.seq,
            received_at: entry.received_at,
            messages: entry.messages,
            sessions: entry.sessions,
        });
        Ok(entries.collect())
    }

    /// The number of the newest entry; 0 where there is none.
    pub async fn journal_head(&self) -> Result<i64, StoreError> {
        let mut lane = self.lanes.take().await?;
        let seq = sqlx::query_scalar!("SELECT seq FROM journal_head")
            .fetch_one(lane.connection())
            .await?;
        lane.give_back();
        Ok(seq)
    }

    /// Behind all that there is now.
    pub async fn journal_end(&self) -> Result<Position<Place>, StoreError> {
        let mut lane = self.lanes.take().await?;
        let newest = sqlx::query!(
            r#"SELECT
                 seq,
                 received_at,
                 cardinality(session_ids) + cardinality(message_ids) + (erasure IS NOT NULL)::integer
                     AS "items!"
             FROM journal
             ORDER BY seq DESC
             LIMIT 1"#,
        )
        .fetch_optional(lane.connection())
        .await?;
        lane.give_back();
        Ok(newest.map_or(Position::START, |newest| Position {
            at: newest.received_at,
            key: Place { seq: newest.seq, items: u32::try_from(newest.items).unwrap_or(0) },
        }))
    }

    /// Whether a position is one of this journal, and everything after it is still there. A number
    /// alone would not tell: a database that was restored counts on from where its backup was made.
    pub async fn journal_knows(&self, position: &Position<Place>) -> Result<bool, StoreError> {
        let mut lane = self.lanes.take().await?;
        let known = sqlx::query_scalar!(
            r#"SELECT
                 EXISTS (SELECT FROM journal WHERE seq = $1 AND received_at = $2)
                 OR ($1 = 0 AND COALESCE((SELECT min(seq) FROM journal), 1) = 1) AS "known!""#,
            position.key.seq,
            position.at,
        )
        .fetch_one(lane.connection())
        .await?;
        lane.give_back();
        Ok(known)
    }

    /// The entries from `seq` on.
    pub(super) async fn stretch(&self, seq: i64, most: u32) -> Result<Stretch, StoreError> {
        let mut lane = self.lanes.take().await?;
        let mut rows = sqlx::query!(
            r#"SELECT
                 seq,
                 received_at,
                 session_ids,
                 message_session_ids,
                 message_times,
                 message_ids,
                 erasure::text AS erasure
             FROM journal
             WHERE seq >= $1
             ORDER BY seq
             LIMIT $2"#,
            seq,
            i64::from(most) + 1,
        )
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        let more = rows.len() > most as usize;
        rows.truncate(most as usize);
        let entries = rows.into_iter().map(|row| {
            let keys = row.message_session_ids.into_iter().zip(row.message_times);
            let key = |((session_id, occurred_at), id)| MessageKey { session_id, occurred_at, id };
            let erasure = row.erasure.as_deref().map(serde_json::from_str).transpose();
            Ok(Entry {
                seq: row.seq,
                received_at: row.received_at,
                sessions: row.session_ids,
                messages: keys.zip(row.message_ids).map(key).collect(),
                erasure: erasure.map_err(|error| sqlx::Error::Decode(error.into()))?,
            })
        });
        Ok(Stretch { entries: entries.collect::<Result<_, sqlx::Error>>()?, more })
    }
}
