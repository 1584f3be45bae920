//! Updates the search index from the journal, after deliveries have been answered and stored, and
//! rebuilds it when the version of documents has changed.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use super::pause::pause_after_batch;
use crate::inbox::Depth;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::retry::Retry;
use crate::store::journal::MAX_BATCH_ENTRIES;
use crate::store::search::{IndexBacklog, Indexed, index_next, rebuild_next, standing};

/// Interval of polling for new entries: a message can be found this long after it was stored.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pause after a failure.
const RETRY_WAIT: Duration = Duration::from_secs(5);
/// Deliveries waiting for Postgres from which on the drain has priority: it cannot keep up when so
/// many are left after a batch.
const DRAIN_IS_BUSY: usize = 250;
/// Longest wait for the drain before a batch. Storing has priority, so that search falls behind
/// under load but does not stop.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Interval of reporting the lag of search during that wait.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Limit of a batch. A half-open connection would wait for ever.
const DEADLINE: Duration = Duration::from_mins(2);
/// Makes Postgres end the session if the network fails during a batch: until then no other service
/// could index.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Worker that keeps the index up to date.
#[derive(Debug)]
pub struct Indexer {
    connector: Connector,
    open: Option<PgConnection>,
    depth: watch::Receiver<Depth>,
    standing: watch::Sender<Option<IndexBacklog>>,
}

impl Indexer {
    /// Creates a worker, which connects with its first batch. `depth` shows if the drain is busy.
    #[must_use]
    pub fn new(
        connector: impl Into<Connector>,
        depth: watch::Receiver<Depth>,
        standing: watch::Sender<Option<IndexBacklog>>,
    ) -> Self {
        Self { connector: connector.into(), open: None, depth, standing }
    }

    /// Runs at intervals until the service stops.
    pub async fn run(mut self, life: Lifecycle) {
        tokio::select! {
            // Postgres rolls back the current batch, and the next start repeats it.
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
    }

    async fn keep_up(&mut self) {
        let mut retry = Retry::every(RETRY_WAIT);
        loop {
            self.wait_for_drain().await;
            let began = Instant::now();
            match self.run_once().await {
                Ok(Indexed::Messages(_)) => {
                    retry.reset();
                    let left = self.standing.borrow().unwrap_or_default();
                    let behind = left.entries >= MAX_BATCH_ENTRIES || left.rebuild.is_some();
                    tokio::time::sleep(pause_after_batch(began.elapsed(), behind)).await;
                }
                Ok(Indexed::Nothing | Indexed::Elsewhere) => {
                    retry.reset();
                    tokio::time::sleep(INTERVAL).await;
                }
                Err(error) => {
                    if retry.fail() {
                        tracing::warn!(%error, failures = retry.failures(), "search falls behind");
                    }
                    tokio::time::sleep(retry.wait()).await;
                }
            }
        }
    }

    /// Indexes the next entries, and rebuilds a part of the index if needed. Reports the lag of
    /// search before, in case the batch fails or is slow, and after. A batch that fails closes the
    /// connection.
    pub async fn run_once(&mut self) -> Result<Indexed, sqlx::Error> {
        let mut connection = self.report_lag(None).await?;
        let step = async {
            let indexed = index_next(&mut connection).await?;
            let rebuilt = rebuild_next(&mut connection).await?;
            let worked = matches!(indexed, Indexed::Nothing) && rebuilt != Indexed::Nothing;
            Ok::<_, sqlx::Error>((connection, if worked { rebuilt } else { indexed }))
        };
        let done = tokio::time::timeout(DEADLINE, step).await;
        let (connection, indexed) = done.map_err(|_| sqlx::Error::PoolTimedOut)??;
        self.open = Some(self.report_lag(Some(connection)).await?);
        Ok(indexed)
    }

    /// Reports the lag of search, and returns the connection.
    async fn report_lag(
        &mut self,
        open: Option<PgConnection>,
    ) -> Result<PgConnection, sqlx::Error> {
        let (open, connector) = (open.or_else(|| self.open.take()), &self.connector);
        let step = async {
            let mut connection = match open {
                Some(open) => open,
                None => connect(connector).await?,
            };
            let standing = standing(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, standing))
        };
        let done = tokio::time::timeout(DEADLINE, step).await;
        let (connection, standing) = done.map_err(|_| sqlx::Error::PoolTimedOut)??;
        self.standing.send_replace(Some(standing));
        Ok(connection)
    }

    /// Waits while the drain is busy, up to [`MAX_WAIT`], and reports the lag of search
    /// meanwhile.
    async fn wait_for_drain(&mut self) {
        let mut depth = self.depth.clone();
        let caught_up = depth.wait_for(|depth| depth.deliveries < DRAIN_IS_BUSY);
        let report = async {
            loop {
                tokio::time::sleep(REPORT_INTERVAL).await;
                // If this fails, the next batch logs it.
                self.open = self.report_lag(None).await.ok();
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(MAX_WAIT, caught_up) => {}
            () = report => {}
        }
    }
}

async fn connect(connector: &Connector) -> Result<PgConnection, sqlx::Error> {
    let mut connection = connector.connect_for_background().await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}
