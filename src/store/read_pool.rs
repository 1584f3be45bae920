//! Read pool: connections for frequent reads and for searches.
//!
//! sqlx's pool pings each returned connection, one round trip a query. This pool does not: a
//! connection that is dropped returns to it after queries that ended well, and is closed after one
//! that failed or was cancelled.

mod deadline;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::StoreError;
use crate::telemetry::metrics::Connections;
use deadline::{MAX_QUERY, WithDeadline, no_answer};

/// Most connections for reads by key. More would make Postgres switch between them instead of
/// working.
pub(super) const BY_KEY: usize = 8;
/// Most connections for searches, each of which occupies a processor for some milliseconds.
pub(super) const SEARCHES: usize = 4;
/// Longest wait for a connection, after which the request fails.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// A connection that was idle for longer is pinged before use.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Longest wait for a ping. Eight dead connections in a row must not delay a request for long.
const MAX_PING: Duration = Duration::from_secs(1);
/// Longest life of a connection, so that none stays with a demoted primary.
const LIFETIME: Duration = Duration::from_mins(15);
/// Reads here return a few rows by key, or by words through the one search index, so one plan fits
/// all parameters. Planning each time would cost a fifth of a read, and more of a search, whose
/// plan needs the frequency of its words in every month.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan";

/// Pool of connections for one kind of read.
#[derive(Debug)]
pub(super) struct ReadPool {
    /// Opens the connections, which are detached from it.
    pool: PgPool,
    limit: usize,
    permits: Semaphore,
    /// The last used connection is on top, so few are used and the others expire.
    free: Mutex<Vec<OpenConnection>>,
}

#[derive(Debug)]
struct OpenConnection {
    connection: PgConnection,
    opened: Instant,
    used: Instant,
    /// The last query has ended well, so that the connection can have another one.
    is_idle: bool,
}

/// Connection for one query after another, which returns to the pool when it is dropped.
#[derive(Debug)]
pub(super) struct PooledConnection<'a> {
    read_pool: &'a ReadPool,
    /// `None` only while this is dropped.
    open: Option<OpenConnection>,
    _permit: SemaphorePermit<'a>,
}

impl ReadPool {
    pub(super) fn new(pool: PgPool, limit: usize) -> Self {
        Self { pool, limit, permits: Semaphore::new(limit), free: Mutex::default() }
    }

    pub(super) fn connections(&self) -> Connections {
        Connections {
            busy: self.limit - self.permits.available_permits().min(self.limit),
            idle: self.free.lock().map_or(0, |free| free.len()),
            limit: self.limit,
        }
    }

    /// Waits for a connection.
    pub(super) async fn take(&self) -> Result<PooledConnection<'_>, StoreError> {
        let permit = tokio::time::timeout(MAX_WAIT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let open = match self.reuse().await {
            Some(open) => open,
            None => self.open().await?,
        };
        Ok(PooledConnection { read_pool: self, open: Some(open), _permit: permit })
    }

    async fn open(&self) -> Result<OpenConnection, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let session = sqlx::raw_sql(SESSION).execute(&mut connection);
        timeout(MAX_QUERY, session).await.map_err(|_| no_answer())??;
        let now = Instant::now();
        Ok(OpenConnection { connection, opened: now, used: now, is_idle: true })
    }

    async fn reuse(&self) -> Option<OpenConnection> {
        while let Some(mut open) = self.pop() {
            let fit = open.opened.elapsed() < LIFETIME
                && (open.used.elapsed() < TRUSTED_IDLE || is_alive(&mut open.connection).await);
            if fit {
                return Some(open);
            }
        }
        None
    }

    fn pop(&self) -> Option<OpenConnection> {
        self.free.lock().ok()?.pop()
    }
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(timeout(MAX_PING, connection.ping()).await, Ok(Ok(())))
}

impl PooledConnection<'_> {
    /// Returns the connection for a query, which fails without a timely answer: after a network
    /// fault a pending query would hold the connection for ever. After a failed query there is none.
    pub(super) fn connection(&mut self) -> Result<WithDeadline<'_>, sqlx::Error> {
        match &mut self.open {
            Some(OpenConnection { connection, is_idle, .. }) if *is_idle => {
                Ok(WithDeadline { connection, is_idle })
            }
            _ => Err(sqlx::Error::PoolClosed),
        }
    }
}

impl Drop for PooledConnection<'_> {
    fn drop(&mut self) {
        if let Some(mut open) = self.open.take().filter(|open| open.is_idle)
            && let Ok(mut free) = self.read_pool.free.lock()
        {
            open.used = Instant::now();
            free.push(open);
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// `AuthenticationOk`, then `ReadyForQuery`.
    const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    /// `CommandComplete`, then `ReadyForQuery`: the answer to `SET`.
    const DONE: &[u8] = b"C\0\0\0\x08SET\0Z\0\0\0\x05I";

    /// Serves a client until its first setting, then sends nothing more.
    async fn serve_then_hang(mut client: TcpStream) {
        let mut buffer = [0; 1024];
        for answer in [WELCOME, DONE] {
            let _ = client.read(&mut buffer).await;
            let _ = client.write_all(answer).await;
        }
        while client.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
    }

    async fn pool_of_silent_server() -> ReadPool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(listener.local_addr().unwrap().port())
            .username("reader")
            .ssl_mode(PgSslMode::Disable);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve_then_hang(client));
            }
        });
        let pool = PgPoolOptions::new().test_before_acquire(false).connect_lazy_with(options);
        ReadPool::new(pool, BY_KEY)
    }

    #[tokio::test]
    async fn query_without_answer_fails_and_frees_its_permit() {
        let read_pool = pool_of_silent_server().await;
        for many in [true, false] {
            let mut connection = read_pool.take().await.unwrap();
            // Only the deadline can end the query, so the paused clock advances to it.
            tokio::time::pause();
            let query = sqlx::query("SELECT 1");
            let error = if many {
                query.fetch_all(connection.connection().unwrap()).await.unwrap_err()
            } else {
                query.fetch_optional(connection.connection().unwrap()).await.unwrap_err()
            };
            tokio::time::resume();
            let error = StoreError::from(error);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            assert!(connection.connection().is_err(), "it has no further query");
            drop(connection);
            assert_eq!(read_pool.permits.available_permits(), BY_KEY);
            assert!(read_pool.free.lock().unwrap().is_empty(), "it is closed");
        }
    }

    #[tokio::test]
    async fn idle_connection_without_answer_is_replaced() {
        let read_pool = pool_of_silent_server().await;
        let connection = read_pool.take().await.unwrap();
        let Some(long_ago) = Instant::now().checked_sub(TRUSTED_IDLE * 2) else { return };
        drop(connection);
        read_pool.free.lock().unwrap()[0].used = long_ago;
        tokio::time::pause();
        assert!(read_pool.reuse().await.is_none(), "it is not reused");
    }
}
