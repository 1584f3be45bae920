//! Updates the facts for figures from the journal, after deliveries have been answered and stored.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::sync::watch;
use uuid::Uuid;

use super::pause::pause_after_batch;
use crate::inbox::Depth;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::retry::Retry;
use crate::store::BEFORE_ALL;
use crate::store::facts::{
    CheckReport, FactRules, FactsLag, Followed, Step, check, follow_next, never_followed,
    read_head, read_lag, rebuild_activity, rebuild_sessions,
};
use crate::store::journal::MAX_BATCH_ENTRIES;

/// Interval of polling for new entries: figures are this far behind under low load.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pause after a failure.
const RETRY_WAIT: Duration = Duration::from_secs(5);
/// Deliveries waiting for Postgres from which on the drain has priority: it cannot keep up when so
/// many are left after a batch.
const DRAIN_IS_BUSY: usize = 250;
/// Longest wait for the drain before a batch, so that figures fall behind under load but do not
/// stop.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Pause after each step of a rebuild while deliveries arrive, as a multiple of the step: answers
/// need the processors and the disk.
const REBUILD_PAUSE: u32 = 3;
/// Longest batch. A half-open connection would wait for ever.
const DEADLINE: Duration = Duration::from_mins(2);
/// Makes Postgres release the position if the network fails during a batch.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Follower of the journal that keeps facts.
#[derive(Debug)]
pub struct FactsFollower {
    connector: Connector,
    rules: FactRules,
    depth: watch::Receiver<Depth>,
    open: Option<PgConnection>,
    /// It has started to keep facts under its rules.
    adopted: bool,
    lag: watch::Sender<Option<FactsLag>>,
}

impl FactsFollower {
    /// Creates a follower, which connects with its first batch. `depth` shows if the drain is busy.
    #[must_use]
    pub fn new(
        connector: impl Into<Connector>,
        rules: FactRules,
        depth: watch::Receiver<Depth>,
    ) -> Self {
        let (lag, _) = watch::channel(None);
        Self { connector: connector.into(), rules, depth, open: None, adopted: false, lag }
    }

    /// Returns how far facts are behind the journal, after each batch; `None` before the first.
    #[must_use]
    pub fn watch_lag(&self) -> watch::Receiver<Option<FactsLag>> {
        self.lag.subscribe()
    }

    /// Follows the journal until the service stops.
    pub async fn run(mut self, life: Lifecycle) {
        tokio::select! {
            // Postgres rolls back the current batch, and the next start repeats it.
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
    }

    async fn keep_up(&mut self) {
        let (mut failed, mut other_rules) = (Retry::every(RETRY_WAIT), Retry::every(RETRY_WAIT));
        loop {
            let caught_up = self.depth.wait_for(|depth| depth.deliveries < DRAIN_IS_BUSY);
            let _ = tokio::time::timeout(MAX_WAIT, caught_up).await;
            let began = Instant::now();
            let done = self.run_once().await;
            if done.is_ok() {
                failed.reset();
            }
            match done {
                Ok(Followed::Entries(_)) => {
                    let left = self.lag.borrow().map_or(0, |lag| lag.entries);
                    let pause = pause_after_batch(began.elapsed(), left >= MAX_BATCH_ENTRIES);
                    tokio::time::sleep(pause).await;
                }
                Ok(Followed::Nothing | Followed::Elsewhere) => tokio::time::sleep(INTERVAL).await,
                Ok(Followed::OtherRules) => {
                    if other_rules.fail() {
                        tracing::warn!(
                            "figures not updated: another service uses other visit gaps or \
                             roles; give all services of a database the same settings"
                        );
                    }
                    tokio::time::sleep(other_rules.wait()).await;
                }
                Err(error) => {
                    if failed.fail() {
                        tracing::warn!(%error, failures = failed.failures(), "figures fall behind");
                    }
                    tokio::time::sleep(failed.wait()).await;
                }
            }
        }
    }

    /// Processes the next entries. A batch that fails closes the connection.
    pub async fn run_once(&mut self) -> Result<Followed, sqlx::Error> {
        let (open, adopt) = (self.open.take(), !self.adopted);
        let step = async {
            let mut connection = match open {
                Some(open) => open,
                None => connect(&self.connector).await?,
            };
            let followed = follow_next(&mut connection, &self.rules, adopt).await?;
            let lag = read_lag(&mut connection).await?;
            Ok::<_, sqlx::Error>((connection, followed, lag))
        };
        let done = tokio::time::timeout(DEADLINE, step).await;
        let (connection, followed, lag) = done.map_err(|_| sqlx::Error::PoolTimedOut)??;
        self.lag.send_replace(Some(lag));
        self.open = Some(connection);
        self.adopted |= followed != Followed::Elsewhere;
        Ok(followed)
    }
}

/// Outcome of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// Facts are correct; this many sessions were processed.
    Sessions(usize),
    /// No change, because facts are kept under other rules.
    OtherRules,
}

/// Pacing of a rebuild, which leaves most of the time to arriving deliveries.
struct Pace {
    head: i64,
    began: Instant,
}

impl Pace {
    async fn new(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        Ok(Self { head: read_head(connection).await?, began: Instant::now() })
    }

    /// Waits after a step if the journal has grown meanwhile.
    async fn pause(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let took = self.began.elapsed();
        let head = read_head(connection).await?;
        if head != self.head {
            tokio::time::sleep(took * REBUILD_PAUSE).await;
        }
        *self = Self { head, began: Instant::now() };
        Ok(())
    }
}

/// Recomputes all facts and their sums while a service may run. It takes about four times as long
/// while deliveries arrive.
pub async fn rebuild(
    connector: impl Into<Connector>,
    rules: &FactRules,
) -> Result<Rebuilt, sqlx::Error> {
    let mut connection = connect(&connector.into()).await?;
    if !is_followed(&mut connection, rules).await? {
        return Ok(Rebuilt::OtherRules);
    }
    let mut pace = Pace::new(&mut connection).await?;
    let (mut after, mut sessions) = (Uuid::nil(), 0);
    loop {
        pace.pause(&mut connection).await?;
        match rebuild_sessions(&mut connection, rules, after).await? {
            Step::Done((last, count)) => (after, sessions) = (last, sessions + count),
            Step::Finished => break,
            Step::OtherRules => return Ok(Rebuilt::OtherRules),
        }
    }
    let mut after = BEFORE_ALL;
    loop {
        pace.pause(&mut connection).await?;
        match rebuild_activity(&mut connection, rules, after).await? {
            Step::Done(end) => after = end,
            Step::Finished => return Ok(Rebuilt::Sessions(sessions)),
            Step::OtherRules => return Ok(Rebuilt::OtherRules),
        }
    }
}

/// Follows the journal to its end. Returns `false` if facts are kept under other rules.
async fn is_followed(
    connection: &mut PgConnection,
    rules: &FactRules,
) -> Result<bool, sqlx::Error> {
    let adopt = never_followed(connection).await?;
    loop {
        match follow_next(connection, rules, adopt).await? {
            Followed::Entries(_) => {}
            // A running service does it.
            Followed::Elsewhere => tokio::time::sleep(INTERVAL).await,
            Followed::Nothing => return Ok(true),
            Followed::OtherRules => return Ok(false),
        }
    }
}

/// Compares all facts with the stored messages.
pub async fn compare(
    connector: impl Into<Connector>,
    rules: &FactRules,
) -> Result<CheckReport, sqlx::Error> {
    let mut connection = connect(&connector.into()).await?;
    check(&mut connection, rules).await
}

async fn connect(connector: &Connector) -> Result<PgConnection, sqlx::Error> {
    let mut connection = connector.connect_for_background().await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}
