//! All SQL that is run on Postgres, a file a noun. What comes out are plain rows: what they mean
//! to a caller is `api`'s business.

pub mod agents;
pub mod keys;
pub mod messages;
mod page;
pub mod sessions;

use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

pub use page::{Order, PageRequest, Position};

/// Longest wait for a free connection. A reader is told to come back rather than kept waiting.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that lay idle for longer is asked whether it still lives before it is used. Busy
/// ones are not: the question costs a round trip, which is half of what a read takes.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// A pooled connection lives this long at the most, so that none stays with a demoted primary.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(10);
/// How a reading session is set up. Compiling a query costs more than any of ours runs for, and
/// a query that runs for longer than this is stuck.
const READING_SESSION: &str = "SET jit = off; SET statement_timeout = '20s'";

/// Reads and writes what Postgres holds. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// A store over a pool that somebody else made.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// A store for reading, over a pool of its own of `connections` at the most. It connects when
    /// it is first asked something, so a database that is down does not keep it from being made.
    #[must_use]
    pub fn for_reading(options: PgConnectOptions, connections: u32) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .max_lifetime(CONNECTION_LIFETIME)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                async move {
                    if about.idle_for > TRUSTED_IDLE {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                }
                .boxed()
            })
            .after_connect(|connection, _| {
                async move {
                    sqlx::raw_sql(READING_SESSION).execute(connection).await?;
                    Ok(())
                }
                .boxed()
            })
            .connect_lazy_with(options);
        Self { pool }
    }

    /// The pool beneath.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

/// Why the store gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer: it is down, restarting, full, or out of connections.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// It answered with an error: a fault of ours.
    #[error("the database refused a query")]
    Refused(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        let unavailable = match &error {
            Error::Database(database) => {
                database.code().is_some_and(|code| means_unavailable(&code))
            }
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed => true,
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}

/// The classes of SQLSTATE that say nothing about the query: connection, resources, operator's
/// intervention (a shutdown, and also a query that was cancelled because it took too long).
fn means_unavailable(sqlstate: &str) -> bool {
    ["08", "53", "57"].iter().any(|class| sqlstate.starts_with(class))
}
