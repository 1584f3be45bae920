//! All SQL that is run on Postgres, a file a noun. What comes out are plain rows: what they mean
//! to a caller is `api`'s business.

mod agent_journal;
pub mod agents;
pub mod alerts;
pub mod around;
pub mod browser_sessions;
pub mod changes;
pub mod completeness;
pub mod continuations;
pub mod cursor_keys;
pub mod deliveries;
pub mod erase;
pub mod export;
pub mod facts;
pub mod fence;
pub mod figures;
pub mod holds;
pub mod ingest;
pub mod jobs;
pub mod journal;
pub mod key_changes;
pub mod keys;
mod lanes;
mod log_walk;
pub mod messages;
pub mod old;
mod page;
pub mod readers;
pub mod saved_views;
pub mod search;
pub mod sessions;
pub mod setup;
pub mod sign_in_links;
mod sqlstate;
pub mod survey;
pub mod visits;

use std::sync::Arc;

use sqlx::{PgConnection, PgPool};

use crate::domain::Roles;
use crate::telemetry::metrics::Connections;
use fence::ErasureFence;
use lanes::Lanes;
pub use page::{AFTER_ALL, BEFORE_ALL, MessagePlace, Order, PageRequest, Position, Rows};

/// How a connection is set up for work that walks whole tables: each statement is short by design,
/// and one that has to wait, or meets a slow disk, is to be done rather than given up as a request's
/// is. Where the network swallows us in between, the locks do not stay.
pub(crate) const PATIENT: &str =
    "SET statement_timeout = '10min'; SET idle_in_transaction_session_timeout = '1min'";

/// Reads and writes what Postgres holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    lanes: Arc<Lanes>,
    search_lanes: Arc<Lanes>,
    /// Whose roles count as the assistant's.
    roles: Roles,
    figures: figures::Room,
    erasures: ErasureFence,
}

impl Store {
    /// A store over a pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let lanes = Arc::new(Lanes::new(pool.clone(), lanes::BY_KEY));
        let search_lanes = Arc::new(Lanes::new(pool.clone(), lanes::SEARCHES));
        Self {
            pool,
            lanes,
            search_lanes,
            roles: Roles::default(),
            figures: figures::Room::default(),
            erasures: ErasureFence::default(),
        }
    }

    /// The same store with other words for the assistant than the usual ones.
    #[must_use]
    pub fn with_roles(self, roles: Roles) -> Self {
        Self { roles, ..self }
    }

    /// The same store, which counts its erasures there.
    #[must_use]
    pub fn with_fence(self, erasures: ErasureFence) -> Self {
        Self { erasures, ..self }
    }

    /// Whose roles count as the assistant's.
    #[must_use]
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The pool beneath.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection for work that takes its time. It is out of the pool: locks, and a transaction
    /// that is open, go with it wherever the work is dropped.
    async fn patient(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::raw_sql(PATIENT).execute(&mut connection).await?;
        Ok(connection)
    }

    /// The connections that answers are read through: the lanes and the pool together.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let pooled = self.pool.size().try_into().unwrap_or(usize::MAX);
        let idle = self.pool.num_idle().min(pooled);
        let most = self.pool.options().get_max_connections();
        let (by_key, searches) = (self.lanes.connections(), self.search_lanes.connections());
        Connections {
            busy: by_key.busy + searches.busy + pooled - idle,
            idle: by_key.idle + searches.idle + idle,
            limit: by_key.limit + searches.limit + usize::try_from(most).unwrap_or(usize::MAX),
        }
    }
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot answer: it is down, restarting, full, read-only, out of connections, or
    /// its schema is not there.
    #[error("the database cannot answer")]
    Unavailable(#[source] sqlx::Error),
    /// It answered with an error: a fault of ours.
    #[error("the database refused a query")]
    Refused(#[source] sqlx::Error),
    /// It was not asked: the answer would be computed from too many facts.
    #[error("figures of {facts} facts were not computed")]
    TooExpensive {
        /// Messages or sessions that it would be computed from.
        facts: i64,
        /// Most of them that an answer is computed from.
        most: i64,
    },
}

impl StoreError {
    /// No answer in time.
    pub(crate) fn late() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// What to do about it, for a log.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let (Self::Unavailable(cause) | Self::Refused(cause)) = self else { return None };
        sqlstate::hint(&cause.as_database_error()?.code()?)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        let unavailable = match &error {
            Error::Database(database) => sqlstate::is_state(database.as_ref()),
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::Configuration(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed => true,
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}
