//! Start of an erasure: its row is stored before anything is deleted.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use uuid::Uuid;

use super::rows::DELETING;
use crate::store::ingest::tombstones::BEGIN_ALONE;
use crate::store::sessions::SessionRow;
use crate::store::{Store, StoreError};

/// Data to erase.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// One session.
    Session(&'a SessionRow),
    /// All data of an agent.
    Agent(&'a str),
}

/// Requested erasure.
#[derive(Clone, Copy, Debug)]
pub struct NewErasure<'a> {
    /// ID of the erasure and of its receipt.
    pub id: Uuid,
    /// Data to erase.
    pub target: Target<'a>,
    /// Time of the request.
    pub at: DateTime<Utc>,
    /// Key that requests it; `None` is the key from the settings.
    pub key_id: Option<Uuid>,
    /// True if that key is bound to agents: only data that is provably its agent's is deleted.
    pub bound: bool,
}

/// Outcome of a requested erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// The erasure is stored and must be carried out.
    Yes,
    /// The same erasure, or one with a wider reach, has begun and is not finished.
    Already(Uuid),
    /// Some of the data is held.
    Held,
}

impl Target<'_> {
    /// Returns the agent's ID.
    #[must_use]
    pub fn agent_id(&self) -> &str {
        match self {
            Self::Session(row) => &row.agent_id,
            Self::Agent(id) => id,
        }
    }

    /// Returns our ID of the session; `None` for an agent.
    #[must_use]
    pub fn session_id(&self) -> Option<Uuid> {
        match self {
            Self::Session(row) => Some(row.id),
            Self::Agent(_) => None,
        }
    }
}

impl Store {
    /// Stores an erasure, unless the data is held or the same erasure is unfinished.
    pub async fn begin_erasure(&self, new: &NewErasure<'_>) -> Result<BeginOutcome, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin_with(BEGIN_ALONE).await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let (agent_id, session_id) = (new.target.agent_id(), new.target.session_id());
        let begun = sqlx::query_scalar!(
            "SELECT id
             FROM erasures
             WHERE finished_at IS NULL
                 AND agent_id = $1
                 AND session_id IS NOT DISTINCT FROM $2
                 AND (NOT bound OR $3)
             ORDER BY id
             LIMIT 1",
            agent_id,
            session_id,
            new.bound,
        )
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(id) = begun {
            return Ok(BeginOutcome::Already(id));
        }
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT
                 FROM holds
                 WHERE agent_id = $1 AND (session_id IS NULL OR $2::uuid IS NULL OR session_id = $2)
             ) AS "held!""#,
            agent_id,
            session_id,
        )
        .fetch_one(&mut *transaction)
        .await?;
        if held {
            return Ok(BeginOutcome::Held);
        }
        let (kind, session) = match new.target {
            Target::Session(row) => ("session", Some(row)),
            Target::Agent(_) => ("agent", None),
        };
        sqlx::query!(
            "INSERT INTO erasures (
                 id, kind, agent_id, session_id, sender_session_id, source, erased_at, counts, key_id,
                 bound
             )
             VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8, $9)",
            new.id,
            kind,
            agent_id,
            session_id,
            session.map(|row| row.session_id.as_str()),
            session.map(|row| row.source.as_str()),
            new.at,
            new.key_id,
            new.bound,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.erasures.raise();
        let _ = connection.close().await;
        Ok(BeginOutcome::Yes)
    }
}
