//! The journal, for whoever follows along: entries in the order of their commits, so that a reader
//! that goes on from where it stopped misses nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Store, StoreError};

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

/// What was erased for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// The id of its receipt.
    pub id: Uuid,
    /// How much.
    pub kind: ErasureKind,
    /// Whose.
    pub agent_id: String,
    /// Which session; `None` where it is all that the agent had.
    pub session: Option<ErasedSession>,
    /// When.
    pub at: DateTime<Utc>,
}

/// How much was erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ErasureKind {
    /// One session.
    Session,
    /// An agent with all its sessions.
    Agent,
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

impl Store {
    /// The entries after `seq`, oldest first. An entry has a thousand messages at the most, give or
    /// take a large batch.
    pub async fn journal_after(
        &self,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let mut lane = self.lanes.take().await?;
        let rows = sqlx::query!(
            "SELECT
                 seq, received_at, message_session_ids, message_times, message_ids, session_ids
             FROM journal
             WHERE seq > $1
             ORDER BY seq
             LIMIT $2",
            seq,
            i64::from(limit),
        )
        .fetch_all(lane.connection())
        .await?;
        lane.give_back();
        let entries = rows.into_iter().map(|row| {
            let keys = row.message_session_ids.into_iter().zip(row.message_times);
            let keys = keys.zip(row.message_ids);
            JournalEntry {
                seq: row.seq,
                received_at: row.received_at,
                messages: keys
                    .map(|((session_id, occurred_at), id)| MessageKey {
                        session_id,
                        occurred_at,
                        id,
                    })
                    .collect(),
                sessions: row.session_ids,
            }
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
}
