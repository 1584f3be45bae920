//! All SQL on Postgres, one file a noun. Functions return plain rows; `api` decides how callers see
//! them.

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
mod error;
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
mod log_walk;
pub mod messages;
mod page;
mod read_pool;
pub mod readers;
pub mod retention;
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
pub use error::StoreError;
use fence::ErasureFence;
pub use page::{AFTER_ALL, BEFORE_ALL, MessagePlace, Order, PageRequest, Position, Rows};
use read_pool::ReadPool;

/// Settings of a connection for work on whole tables. Each statement is short by design, and one
/// that waits for a lock or a slow disk should finish, unlike a request's. If the network fails,
/// Postgres releases the locks after a minute.
pub(crate) const PATIENT: &str =
    "SET statement_timeout = '10min'; SET idle_in_transaction_session_timeout = '1min'";

/// Access to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    read_pool: Arc<ReadPool>,
    search_pool: Arc<ReadPool>,
    /// Roles that count as the assistant's.
    roles: Roles,
    figures: figures::Room,
    erasures: ErasureFence,
}

impl Store {
    /// Creates a store over a pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let read_pool = Arc::new(ReadPool::new(pool.clone(), read_pool::BY_KEY));
        let search_pool = Arc::new(ReadPool::new(pool.clone(), read_pool::SEARCHES));
        Self {
            pool,
            read_pool,
            search_pool,
            roles: Roles::default(),
            figures: figures::Room::default(),
            erasures: ErasureFence::default(),
        }
    }

    /// Replaces the roles that count as the assistant's.
    #[must_use]
    pub fn with_roles(self, roles: Roles) -> Self {
        Self { roles, ..self }
    }

    /// Replaces the fence that counts erasures.
    #[must_use]
    pub fn with_fence(self, erasures: ErasureFence) -> Self {
        Self { erasures, ..self }
    }

    /// Returns the roles that count as the assistant's.
    #[must_use]
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// Returns the underlying pool.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Opens a connection for long work, outside the pool: if the work is dropped, the connection
    /// closes with its locks and its open transaction.
    async fn long_running_connection(&self) -> Result<PgConnection, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        sqlx::raw_sql(PATIENT).execute(&mut connection).await?;
        Ok(connection)
    }

    /// Returns the use of the read pools and the pool together.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let pooled = self.pool.size().try_into().unwrap_or(usize::MAX);
        let idle = self.pool.num_idle().min(pooled);
        let most = self.pool.options().get_max_connections();
        let (by_key, searches) = (self.read_pool.connections(), self.search_pool.connections());
        Connections {
            busy: by_key.busy + searches.busy + pooled - idle,
            idle: by_key.idle + searches.idle + idle,
            limit: by_key.limit + searches.limit + usize::try_from(most).unwrap_or(usize::MAX),
        }
    }
}
