//! Brings the search index up to the journal, after deliveries have been answered and stored; and
//! rebuilds it beside that, where what it is made of has changed.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use crate::inbox::Depth;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::store::search::{
    IndexStanding, Indexed, empty_previous_index, index_next, rebuild_next, standing,
};

/// How often it looks for what is new: so long after it was stored, a message can be found.
const INTERVAL: Duration = Duration::from_millis(500);
/// How long it waits after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// Deliveries that wait for Postgres: with so many left after each of its batches the drain needs
/// the machine for itself, and goes first.
const DRAIN_IS_BUSY: usize = 250;
/// How long it gives way to the drain before a batch, at the most: what was said is to be stored
/// before it is to be found, so search falls behind under load, and does not stop.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How often it tells how far search is behind while it gives way.
const TELL: Duration = Duration::from_secs(5);
/// How long one batch may take. A connection that is half open would wait for ever.
const DEADLINE: Duration = Duration::from_mins(2);
/// Where the network swallows us within a batch, nobody else could index for as long as Postgres
/// believes in the connection.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Keeps the index up to date.
#[derive(Debug)]
pub struct Indexer {
    connector: Connector,
    open: Option<PgConnection>,
    depth: watch::Receiver<Depth>,
    standing: watch::Sender<Option<IndexStanding>>,
}

impl Indexer {
    /// It connects when it first looks. `depth` tells whether the drain is busy.
    #[must_use]
    pub fn new(
        connector: impl Into<Connector>,
        depth: watch::Receiver<Depth>,
        standing: watch::Sender<Option<IndexStanding>>,
    ) -> Self {
        Self { connector: connector.into(), open: None, depth, standing }
    }

    /// Looks now and then, until the service stops.
    pub async fn run(mut self, life: Lifecycle) {
        tokio::select! {
            // What is under way is undone by Postgres, and done again by the next start.
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
    }

    async fn keep_up(&mut self) {
        let mut failures = 0_u32;
        loop {
            self.give_way().await;
            let began = Instant::now();
            match self.run_once().await {
                Ok(Indexed::Messages(_)) => {
                    failures = 0;
                    // Half of the time is everybody else's.
                    tokio::time::sleep(began.elapsed()).await;
                }
                Ok(Indexed::Nothing | Indexed::Elsewhere) => {
                    failures = 0;
                    tokio::time::sleep(INTERVAL).await;
                }
                Err(error) => {
                    failures += 1;
                    if failures.is_power_of_two() {
                        tracing::warn!(%error, failures, "search falls behind");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Indexes what comes next and rebuilds a part of what is to be rebuilt, and tells how far search is behind: before, so that it is told also
    /// where the batch fails or takes long, and after. Wherever it ends early, its connection goes
    /// with it.
    pub async fn run_once(&mut self) -> Result<Indexed, sqlx::Error> {
        let mut connection = self.tell(None).await?;
        let step = async {
            let indexed = index_next(&mut connection).await?;
            let rebuilt = rebuild_next(&mut connection).await?;
            let worked = matches!(indexed, Indexed::Nothing) && rebuilt != Indexed::Nothing;
            Ok::<_, sqlx::Error>((connection, if worked { rebuilt } else { indexed }))
        };
        let done = tokio::time::timeout(DEADLINE, step).await;
        let (connection, indexed) = done.map_err(|_| sqlx::Error::PoolTimedOut)??;
        self.open = Some(self.tell(Some(connection)).await?);
        Ok(indexed)
    }

    /// Tells how far search is behind, and gives the connection that it asked over.
    async fn tell(&mut self, open: Option<PgConnection>) -> Result<PgConnection, sqlx::Error> {
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

    /// Waits while the drain is busy, within bounds, and tells meanwhile how far search is behind.
    async fn give_way(&mut self) {
        let mut depth = self.depth.clone();
        let caught_up = depth.wait_for(|depth| depth.deliveries < DRAIN_IS_BUSY);
        let tell = async {
            loop {
                tokio::time::sleep(TELL).await;
                // Where that fails, the batch that follows says so.
                self.open = self.tell(None).await.ok();
            }
        };
        tokio::select! {
            _ = tokio::time::timeout(LONGEST_WAIT, caught_up) => {}
            () = tell => {}
        }
    }
}

async fn connect(connector: &Connector) -> Result<PgConnection, sqlx::Error> {
    let mut connection = connector.connect_for_background().await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    empty_previous_index(&mut connection).await?;
    Ok(connection)
}
