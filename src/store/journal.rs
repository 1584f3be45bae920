//! Reads the journal: entries in the order of their commits, so a reader that continues from its
//! position misses nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Position, Store, StoreError};

/// Most entries in one transaction of a follower. Each is a batch of the drain, with up to a thousand
/// messages or 8 MiB.
pub const MAX_BATCH_ENTRIES: i64 = 16;
/// Messages after which a transaction of a follower takes no further entry, so that erasures and
/// other services wait for a moment only.
const MAX_BATCH_MESSAGES: usize = 4_000;

/// Returns how many of the next entries one transaction of a follower processes, given their numbers
/// of messages: at least one.
pub(super) fn batch_length(messages: impl Iterator<Item = usize>) -> usize {
    let sums = messages.scan(0, |sum, messages| Some(std::mem::replace(sum, *sum + messages)));
    sums.take_while(|before| *before < MAX_BATCH_MESSAGES).count()
}

/// Changes of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// Number of the entry, one more than that of the previous entry.
    pub seq: i64,
    /// Arrival of its newest delivery.
    pub received_at: DateTime<Utc>,
    /// New messages.
    pub messages: Vec<MessageKey>,
    /// New or changed sessions.
    pub sessions: Vec<Uuid>,
}

/// Key of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    /// Our session ID.
    pub session_id: Uuid,
    /// Time of the message.
    pub occurred_at: DateTime<Utc>,
    /// Message ID.
    pub id: Uuid,
}

/// Erasure, or deletion of expired data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// ID of the receipt; a new ID for expired data.
    pub id: Uuid,
    /// Scope or reason.
    pub kind: ErasureKind,
    /// Agent.
    pub agent_id: String,
    /// Session; `None` is everything of the agent.
    pub session: Option<ErasedSession>,
    /// Time of the erasure.
    pub at: DateTime<Utc>,
    /// Only messages before this time; `None` is all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<DateTime<Utc>>,
}

/// Scope of an erasure, or its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureKind {
    /// One session.
    Session,
    /// An agent with all its sessions.
    Agent,
    /// An expired session, or its expired beginning.
    Retention,
}

/// Identity of an erased session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedSession {
    /// Our session ID.
    pub id: Uuid,
    /// Sender's session ID.
    pub session_id: String,
    /// Source that delivered it.
    pub source: String,
}

/// Position in the journal: all entries before `seq`, and `items` of that entry. Items are counted
/// before any filter: sessions, then messages, then the erasure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Entry number; 0 is before the first entry.
    pub seq: i64,
    /// Number of its items.
    pub items: u32,
}

impl Position<Place> {
    /// Start of the journal.
    pub const START: Self = Self { at: DateTime::UNIX_EPOCH, key: Place { seq: 0, items: 0 } };
}

/// Entries that follow a position.
pub(super) struct EntryPage {
    /// Entries in order; the first may have been read in part.
    pub(super) entries: Vec<Entry>,
    /// More entries follow.
    pub(super) more: bool,
}

/// Journal entry.
pub(super) struct Entry {
    pub(super) seq: i64,
    pub(super) received_at: DateTime<Utc>,
    pub(super) sessions: Vec<Uuid>,
    pub(super) messages: Vec<MessageKey>,
    pub(super) erasure: Option<Erasure>,
}

impl Store {
    /// Returns the entries after `seq`, oldest first. An entry has about a thousand messages at
    /// most.
    pub async fn journal_after(
        &self,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let page = self.read_entries(seq.saturating_add(1), limit).await?;
        let entries = page.entries.into_iter().map(|entry| JournalEntry {
            seq: entry.seq,
            received_at: entry.received_at,
            messages: entry.messages,
            sessions: entry.sessions,
        });
        Ok(entries.collect())
    }

    /// Returns the number of the newest entry; 0 without any.
    pub async fn journal_head(&self) -> Result<i64, StoreError> {
        let seq = sqlx::query_scalar!("SELECT seq FROM journal_head")
            .fetch_one(self.read_pool.take().await?.connection()?)
            .await?;
        Ok(seq)
    }

    /// Returns the position after the newest entry.
    pub async fn journal_end(&self) -> Result<Position<Place>, StoreError> {
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
        .fetch_optional(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(newest.map_or(Position::START, |newest| Position {
            at: newest.received_at,
            key: Place { seq: newest.seq, items: u32::try_from(newest.items).unwrap_or(0) },
        }))
    }

    /// Reports whether a position belongs to this journal and all later entries are retained. The
    /// number does not suffice: a restored database counts on from its backup.
    pub async fn has_journal_position(
        &self,
        position: &Position<Place>,
    ) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar!(
            r#"SELECT
                 EXISTS (SELECT FROM journal WHERE seq = $1 AND received_at = $2)
                 OR ($1 = 0 AND COALESCE((SELECT min(seq) FROM journal), 1) = 1) AS "known!""#,
            position.key.seq,
            position.at,
        )
        .fetch_one(self.read_pool.take().await?.connection()?)
        .await?;
        Ok(known)
    }

    /// Reads the entries from `seq` on.
    pub(super) async fn read_entries(&self, seq: i64, most: u32) -> Result<EntryPage, StoreError> {
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
        .fetch_all(self.read_pool.take().await?.connection()?)
        .await?;
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
        Ok(EntryPage { entries: entries.collect::<Result<_, sqlx::Error>>()?, more })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_ends_with_the_entry_that_fills_it() {
        let length = |messages: &[usize]| batch_length(messages.iter().copied());
        assert_eq!(length(&[]), 0);
        assert_eq!(length(&[0, 0, 0]), 3);
        assert_eq!(length(&[9_000, 1]), 1);
        assert_eq!(length(&[3_999, 1, 1]), 2);
        assert_eq!(length(&[3_999, 0, 500, 1]), 3);
    }
}
