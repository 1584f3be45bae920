//! Connections for the reads that come by the thousand.
//!
//! The pool asks each connection that it takes back whether it still lives, which is one round
//! trip for every query. A lane goes back unasked, for it goes back only after a query that ended
//! well: one that failed, or whose caller went away in the middle, is closed instead.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::StoreError;

/// Lanes at the most. More would make Postgres switch between them rather than work.
const LANES: usize = 8;
/// Longest wait for a lane. A reader is told to come back rather than kept waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// A lane that lay idle for longer is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// A lane lives this long at the most, so that none stays with a demoted primary.
const LIFETIME: Duration = Duration::from_mins(15);
/// What is read here is a few rows by their key, for which one plan is as good for any key as for
/// another; planning each time would cost a fifth of the whole.
const SESSION: &str = "SET plan_cache_mode = force_generic_plan";

/// All lanes of a store.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Opens the connections, which it then no longer counts as its own.
    pool: PgPool,
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

/// A connection for one query.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    lanes: &'a Lanes,
    open: Open,
    _permit: SemaphorePermit<'a>,
}

impl Lanes {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool, permits: Semaphore::new(LANES), free: Mutex::default() }
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
        sqlx::raw_sql(SESSION).execute(&mut connection).await?;
        let now = Instant::now();
        Ok(Open { connection, opened: now, used: now })
    }

    async fn reuse(&self) -> Option<Open> {
        while let Some(mut open) = self.pop() {
            let fit = open.opened.elapsed() < LIFETIME
                && (open.used.elapsed() < TRUSTED_IDLE || open.connection.ping().await.is_ok());
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

impl Lane<'_> {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.open.connection
    }

    /// Gives it back, after a query that ended well.
    pub(super) fn give_back(mut self) {
        self.open.used = Instant::now();
        if let Ok(mut free) = self.lanes.free.lock() {
            free.push(self.open);
        }
    }
}
