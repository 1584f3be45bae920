//! Migrates the schema once Postgres is available, and then maintains partitions and retention.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::resources::Resources;
use crate::clock::Clock;
use crate::config::RetentionRules;
use crate::domain::Roles;
use crate::jobs::{partitions, retention};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Database, SchemaState};
use crate::retry::Retry;
use crate::store::Store;
use crate::store::fence::ErasureFence;

/// Time limit of the schema's check.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);
/// Time after which a start reports the database as unavailable.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// Wait between two attempts.
const RETRY_WAIT: Duration = Duration::from_secs(2);

/// Starts the task that migrates the schema, and returns a receiver of the schema's state.
pub(super) fn start(resources: &Resources) -> watch::Receiver<SchemaState> {
    let Resources { settings, life, .. } = resources;
    let (state, updates) = watch::channel(SchemaState::default());
    let task = SchemaTask {
        database: resources.database.clone(),
        migrate: settings.migrate,
        state,
        read_pool: resources.pool.clone(),
        pool: resources.job_pool.clone(),
        clock: resources.clock.clone(),
        keep: settings.keep.clone(),
        roles: settings.roles.clone(),
        erasures: resources.erasures.clone(),
        ready: resources.schema.clone(),
    };
    life.spawn("schema", task.run(life.clone()));
    updates
}

/// Task that waits for Postgres without a limit, migrates its schema, and then creates partitions
/// ahead of time and deletes expired rows.
struct SchemaTask {
    database: Arc<Database>,
    /// It may apply migrations. Otherwise it waits until another process has.
    migrate: bool,
    state: watch::Sender<SchemaState>,
    /// Pool of the requests, which receives the connector's options.
    read_pool: postgres::Pool,
    pool: postgres::Pool,
    clock: Clock,
    keep: RetentionRules,
    roles: Roles,
    /// Counts erasures that finish here.
    erasures: ErasureFence,
    /// Cancelled once the drain may begin: after the first partitions were created, so that they
    /// need not move rows.
    ready: CancellationToken,
}

impl SchemaTask {
    /// Runs until the service stops.
    async fn run(self, life: Lifecycle) {
        tokio::select! {
            () = life.stopping() => {}
            () = self.maintain(&life) => {}
        }
    }

    async fn maintain(&self, life: &Lifecycle) {
        let mut retry = Retry::every(RETRY_WAIT);
        while let Err(error) = self.prepare().await {
            let now = SchemaState::of(&error);
            // The log comes before /readyz, which sends its readers to the log.
            if retry.fail() || *self.state.borrow() != now {
                let failures = retry.failures();
                tracing::error!(error = %format!("{error:#}"), schema = now.as_str(), failures,
                    "database is not ready; deliveries stay in the inbox");
            }
            self.state.send_replace(now);
            tokio::time::sleep(retry.wait()).await;
        }
        self.state.send_replace(SchemaState::Current);
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

    async fn prepare(&self) -> anyhow::Result<()> {
        let mut ready = pin!(self.database.wait_ready());
        if let Ok(ready) = tokio::time::timeout(FIRST_ANSWER, &mut ready).await {
            ready?;
        } else {
            self.state.send_if_modified(|state| {
                let is_first = *state == SchemaState::Unchecked;
                *state = if is_first { SchemaState::Unknown } else { *state };
                is_first
            });
            ready.await?;
        }
        let connector = self.database.connector();
        postgres::follow(&self.pool, &connector);
        postgres::follow(&self.read_pool, &connector);
        // Most starts need no migration. The check has a deadline, since the network may drop
        // packets; a migration has none.
        let checked = tokio::time::timeout(CHECK_DEADLINE, postgres::check(&connector)).await;
        match checked.context("the database does not answer")? {
            Ok(()) => Ok(()),
            Err(error) if self.migrate => {
                // Other states are published after the migration has failed and was logged.
                let now = SchemaState::of(&error);
                if matches!(now, SchemaState::Empty | SchemaState::Pending) {
                    self.state.send_replace(now);
                }
                postgres::migrate(&connector).await.map(drop)
            }
            Err(error) => Err(error),
        }
    }
}
