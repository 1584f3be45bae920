//! Connections for the reads that come by the thousand, and for searches.
//!
//! The pool asks each connection that it takes back whether it still lives, which is one round
//! trip for every query. A lane goes back unasked, for it goes back only after a query that ended
//! well: one that failed, or whose caller went away in the middle, is closed instead.

mod deadline;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::StoreError;
use crate::telemetry::metrics::Connections;
use deadline::{LONGEST_QUERY, Prompt, late};

/// Lanes at the most for reads by key. More would make Postgres switch between them rather than
/// work.
pub(super) const BY_KEY: usize = 8;
/// Lanes at the most for searches, which keep a processor each busy for some milliseconds.
pub(super) const SEARCHES: usize = 4;
/// Longest wait for a lane. A reader is told to come back rather than kept waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// A lane that lay idle for longer is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long the answer to that question may take. Eight such lanes one after the other must not
/// keep a reader for long.
const LONGEST_PING: Duration = Duration::from_secs(1);
/// A lane lives this long at the most, so that none stays with a demoted primary.
const LIFETIME: Duration = Duration::from_mins(15);
/// What is read here is a few rows by their key, or by their words along the one index that there
/// is for them. One plan is as good for any of these as for another; planning each time would cost
/// a fifth of the whole, and of a search's plan, which looks up how frequent its words are in every
/// month, even more.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan";

/// All lanes of a store.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Opens the connections, which it then no longer counts as its own.
    pool: PgPool,
    limit: usize,
    permits: Semaphore,
    /// The one that was used last lies on top: few are kept busy, and the rest may age.
    free: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    connection: PgConnection,
    opened: Instant,
    used: Instant,
}

/// A connection for one query after another.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    lanes: &'a Lanes,
    open: Open,
    _permit: SemaphorePermit<'a>,
}

impl Lanes {
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

    /// A connection, as soon as there is one.
    pub(super) async fn take(&self) -> Result<Lane<'_>, StoreError> {
        let permit = tokio::time::timeout(LONGEST_WAIT, self.permits.acquire()).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        // It is never closed.
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        if self.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let open = match self.reuse().await {
            Some(open) => open,
            None => self.open().await?,
        };
        Ok(Lane { lanes: self, open, _permit: permit })
    }

    async fn open(&self) -> Result<Open, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let session = sqlx::raw_sql(SESSION).execute(&mut connection);
        timeout(LONGEST_QUERY, session).await.map_err(|_| late())??;
        let now = Instant::now();
        Ok(Open { connection, opened: now, used: now })
    }

    async fn reuse(&self) -> Option<Open> {
        while let Some(mut open) = self.pop() {
            let fit = open.opened.elapsed() < LIFETIME
                && (open.used.elapsed() < TRUSTED_IDLE || answers(&mut open.connection).await);
            if fit {
                return Some(open);
            }
        }
        None
    }

    fn pop(&self) -> Option<Open> {
        self.free.lock().ok()?.pop()
    }
}

async fn answers(connection: &mut PgConnection) -> bool {
    matches!(timeout(LONGEST_PING, connection.ping()).await, Ok(Ok(())))
}

impl Lane<'_> {
    /// For a query, whose answer comes in time or not at all: the network can swallow a
    /// connection, and a lane that waited on it would be lost to all readers.
    pub(super) fn connection(&mut self) -> Prompt<'_> {
        Prompt(&mut self.open.connection)
    }

    /// Gives it back, after queries that ended well.
    pub(super) fn give_back(mut self) {
        self.open.used = Instant::now();
        if let Ok(mut free) = self.lanes.free.lock() {
            free.push(self.open);
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
    /// `CommandComplete`, then `ReadyForQuery`: to the session's setting.
    const DONE: &[u8] = b"C\0\0\0\x08SET\0Z\0\0\0\x05I";

    /// A server that greets, takes one setting, and says nothing more.
    async fn fall_silent(mut client: TcpStream) {
        let mut said = [0; 1024];
        for answer in [WELCOME, DONE] {
            let _ = client.read(&mut said).await;
            let _ = client.write_all(answer).await;
        }
        while client.read(&mut said).await.is_ok_and(|bytes| bytes > 0) {}
    }

    async fn lanes_to_a_silent_server() -> Lanes {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(listener.local_addr().unwrap().port())
            .username("reader")
            .ssl_mode(PgSslMode::Disable);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(fall_silent(client));
            }
        });
        let pool = PgPoolOptions::new().test_before_acquire(false).connect_lazy_with(options);
        Lanes::new(pool, BY_KEY)
    }

    #[tokio::test]
    async fn a_query_that_gets_no_answer_fails_and_frees_its_lane() {
        let lanes = lanes_to_a_silent_server().await;
        for many in [true, false] {
            let mut lane = lanes.take().await.unwrap();
            // From here on nothing happens by itself, so time runs to the deadline.
            tokio::time::pause();
            let query = sqlx::query("SELECT 1");
            let error = if many {
                query.fetch_all(lane.connection()).await.unwrap_err()
            } else {
                query.fetch_optional(lane.connection()).await.unwrap_err()
            };
            tokio::time::resume();
            let error = StoreError::from(error);
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            drop(lane);
            assert_eq!(lanes.permits.available_permits(), BY_KEY);
        }
    }

    #[tokio::test]
    async fn a_lane_that_lay_idle_and_says_nothing_is_replaced() {
        let lanes = lanes_to_a_silent_server().await;
        let lane = lanes.take().await.unwrap();
        let Some(long_ago) = Instant::now().checked_sub(TRUSTED_IDLE * 2) else { return };
        lane.give_back();
        lanes.free.lock().unwrap()[0].used = long_ago;
        tokio::time::pause();
        assert!(lanes.reuse().await.is_none(), "it is not used again");
    }
}
