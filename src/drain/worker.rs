//! A worker: takes what the inbox holds and does not give up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::connection::Connection;
use crate::decode::Received;
use crate::domain::Roles;
use crate::inbox::{Backlog, BatchLimits, Group};
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::telemetry::metrics::{DrainFailure, Way};
use crate::telemetry::{Metrics, Span};

/// What one transaction takes. Beyond a thousand deliveries a larger batch gains nothing.
pub const BATCH: BatchLimits = BatchLimits { deliveries: 1_000, bytes: 8 << 20 };
/// Batches begin this far apart, unless a full one waits. A delivery after a silence goes at once;
/// under load a transaction of a thousand costs Postgres a third less for each than one of three
/// hundred, and who follows along hardly notices the wait.
const PACE: Duration = Duration::from_millis(50);
/// How long a batch may take. Long enough for a locked table or a checkpoint; a connection that is
/// half open would wait for ever.
const BATCH_DEADLINE: Duration = Duration::from_mins(1);
/// Waits between attempts: from the first to the last, doubling.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];

/// Moves deliveries from the inbox to Postgres.
#[derive(Debug)]
pub struct Worker {
    backlog: Arc<Backlog>,
    connection: Connection,
    metrics: Arc<Metrics>,
    life: Lifecycle,
    give_up: CancellationToken,
}

impl Worker {
    /// A worker with a connection of its own. It tries again for ever; once the service is
    /// stopping it leaves off at the first failure, and at `give_up` wherever it is.
    /// `attempts` gets the outcome of each attempt to write.
    #[must_use]
    pub fn new(
        backlog: Arc<Backlog>,
        connector: Connector,
        roles: Roles,
        metrics: Arc<Metrics>,
        attempts: Attempts,
        life: Lifecycle,
        give_up: CancellationToken,
    ) -> Self {
        let connection = Connection::new(connector, roles, metrics.clone(), Way::Inbox, attempts);
        Self { backlog, connection, metrics, life, give_up }
    }

    /// Runs until the inbox is closed and empty, or until it has to give up; what is left then
    /// stays in the inbox's file.
    pub async fn run(mut self) {
        let give_up = self.give_up.clone();
        // Dropping the work at any point is safe: the batch in hand is still in the file, and its
        // connection is dropped with it.
        tokio::select! {
            () = give_up.cancelled() => {}
            () = self.run_paced() => {}
        }
        self.connection.close().await;
    }

    /// Batch after batch; under load in batches that are worth a transaction.
    async fn run_paced(&mut self) {
        // Ahead of the first batch, so that it need not wait for that.
        self.connection.open_ahead().await;
        let mut next = Instant::now();
        loop {
            if self.backlog.waiting() < BATCH.deliveries {
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.life.stopping() => {}
                }
            }
            next = Instant::now() + PACE;
            if !self.run_once().await {
                return;
            }
        }
    }

    /// Takes one batch to Postgres; false once there is and will be none.
    async fn run_once(&mut self) -> bool {
        let (mut backoff, mut failures) = (BACKOFF[0], 0_u32);
        let groups = loop {
            match self.backlog.take(BATCH).await {
                Ok(Some(groups)) => break groups,
                Ok(None) => return false,
                Err(error) => {
                    failures += 1;
                    self.metrics.drain.inbox.failed(DrainFailure::InboxFile);
                    if failures.is_power_of_two() {
                        let error = anyhow::Error::from(error);
                        tracing::error!(error = %format!("{error:#}"), failures,
                            "the inbox's file cannot be read; trying again");
                    }
                    if self.life.is_stopping() {
                        // What is in it stays there, for the next start.
                        return false;
                    }
                    self.pause(&mut backoff).await;
                }
            }
        };
        let deliveries = groups.iter().map(|group| group.deliveries.len()).sum();
        let mut span = Span::of_batch("inbox", deliveries);
        let written = self.write(&groups, &mut span).await;
        if written {
            self.backlog.done(&groups);
        }
        written
    }

    /// Writes until it is written; false where the service stops and Postgres does not take it.
    async fn write(&mut self, groups: &[Group], span: &mut Span) -> bool {
        let deliveries: Vec<&Received> =
            groups.iter().flat_map(|group| &group.deliveries).map(AsRef::as_ref).collect();
        let mut backoff = BACKOFF[0];
        let mut failures = 0_u32;
        while let Err(error) = self.connection.write(&deliveries, BATCH_DEADLINE).await {
            failures += 1;
            span.failed(failures);
            // An outage of an hour is one line at its start, and one now and then.
            if failures.is_power_of_two() {
                let error = anyhow::Error::from(error);
                tracing::warn!(error = %format!("{error:#}"), failures,
                    deliveries = deliveries.len(), waiting = self.backlog.watch_depth().borrow().deliveries,
                    "Postgres takes nothing; the inbox keeps what arrives");
            }
            if self.life.is_stopping() {
                return false;
            }
            self.pause(&mut backoff).await;
        }
        if failures > 0 {
            tracing::info!(failures, "Postgres takes deliveries again");
        }
        true
    }

    /// Waits before the next attempt; the end of the service cuts it short.
    async fn pause(&self, backoff: &mut Duration) {
        // Jitter keeps several workers, and several services, from coming back at one moment.
        let wait = backoff.mul_f64(rand::random_range(0.5..1.0));
        *backoff = (*backoff * 2).min(BACKOFF[1]);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.life.stopping() => {}
        }
    }
}
