//! Brings the schema up to date when Postgres is there, and keeps it in order from then on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Keep;
use crate::domain::Roles;
use crate::jobs::{partitions, retention};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Database, SchemaState};
use crate::store::Store;
use crate::store::fence::ErasureFence;

/// How long it may take to see what the schema lacks.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);
/// How long a start may wait for the database before it counts as away.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// How long to wait before the schema is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Waits for Postgres and brings its schema up to date, however long that takes; then keeps
/// partitions ahead of time, and everything within its age.
pub(super) struct SchemaKeeper {
    pub(super) database: Arc<Database>,
    /// It may apply migrations; else it waits until somebody else has.
    pub(super) migrate: bool,
    pub(super) verdict: watch::Sender<SchemaState>,
    /// Pool of the requests: it learns how to connect.
    pub(super) read_pool: postgres::Pool,
    pub(super) pool: postgres::Pool,
    pub(super) clock: Clock,
    pub(super) keep: Keep,
    pub(super) roles: Roles,
    /// Counts erasures that are finished here.
    pub(super) erasures: ErasureFence,
    /// Cancelled once the drain may begin: after the first partitions are made, so that nothing is
    /// written that they would have to move.
    pub(super) ready: CancellationToken,
}

impl SchemaKeeper {
    /// Runs until the service stops.
    pub(super) async fn run(self, life: Lifecycle) {
        tokio::select! {
            () = life.stopping() => {}
            () = self.keep(&life) => {}
        }
    }

    async fn keep(&self, life: &Lifecycle) {
        let mut failures = 0_u32;
        while let Err(error) = self.bring_up().await {
            failures += 1;
            let now = SchemaState::of(&error);
            // A night without a schema is one line at its start, and one now and then. Logged
            // before /readyz says it: whoever reads there that something is wrong looks here next.
            if *self.verdict.borrow() != now || failures.is_power_of_two() {
                tracing::error!(error = %format!("{error:#}"), schema = now.as_str(), failures,
                    "the database is not ready; the inbox keeps what arrives");
            }
            self.verdict.send_replace(now);
            tokio::time::sleep(RETRY).await;
        }
        self.verdict.send_replace(SchemaState::Current);
        partitions::attempt(&self.pool, &self.clock).await;
        self.ready.cancel();
        let (pool, clock) = (&self.pool, &self.clock);
        tokio::join!(
            partitions::run(pool.clone(), clock.clone(), life.clone()),
            retention::run(
                Store::new(pool.clone())
                    .with_roles(self.roles.clone())
                    .with_fence(self.erasures.clone()),
                clock.clone(),
                self.keep.clone(),
                life.clone()
            ),
        );
    }

    async fn bring_up(&self) -> anyhow::Result<()> {
        let mut ready = pin!(self.database.wait_ready());
        if let Ok(ready) = tokio::time::timeout(FIRST_ANSWER, &mut ready).await {
            ready?;
        } else {
            self.verdict.send_if_modified(|verdict| {
                let is_first = *verdict == SchemaState::Unchecked;
                *verdict = if is_first { SchemaState::Unknown } else { *verdict };
                is_first
            });
            ready.await?;
        }
        let connector = self.database.connector();
        postgres::follow(&self.pool, &connector);
        postgres::follow(&self.read_pool, &connector);
        // Most starts find all of it there. To know that must not take for ever where the network
        // swallows everything; a migration may take its time.
        let checked = tokio::time::timeout(CHECK_DEADLINE, postgres::check(&connector)).await;
        match checked.context("the database does not answer")? {
            Ok(()) => Ok(()),
            Err(error) if self.migrate => {
                // What migrating does not mend is told when it has failed, after it was logged.
                let now = SchemaState::of(&error);
                if matches!(now, SchemaState::Empty | SchemaState::Pending) {
                    self.verdict.send_replace(now);
                }
                postgres::migrate(&connector).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }
}
