//! Worker of the drain: writes the inbox's deliveries to Postgres, and retries without limit.

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
use crate::retry::Retry;
use crate::telemetry::metrics::{DrainFailure, WritePath};
use crate::telemetry::{Metrics, Span};

/// Limits of one transaction. More than a thousand deliveries gain nothing.
pub const BATCH: BatchLimits = BatchLimits { deliveries: 1_000, bytes: 8 << 20 };
/// Shortest interval between the starts of batches, unless a full batch waits. After idle time a
/// delivery is written immediately. Under load a transaction of 1,000 deliveries costs Postgres a
/// third less for each than one of 300, and readers of the stream barely notice the delay.
const PACE: Duration = Duration::from_millis(50);
/// Longest time of a batch: enough for a locked table or a checkpoint. A half-open connection would
/// wait for ever.
const BATCH_DEADLINE: Duration = Duration::from_mins(1);
/// Waits between attempts.
const RETRY: Retry = Retry::new(Duration::from_millis(50), Duration::from_secs(2));

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
    /// Creates a worker with a separate connection. It retries without limit. While the service
    /// stops it ends at the first failure, and at `give_up` immediately. `attempts` receives the
    /// outcome of each attempt.
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
        let connection =
            Connection::new(connector, roles, metrics.clone(), WritePath::Inbox, attempts);
        Self { backlog, connection, metrics, life, give_up }
    }

    /// Runs until the inbox is closed and empty, or until the worker gives up. The remaining groups
    /// stay in the inbox's file.
    pub async fn run(mut self) {
        let give_up = self.give_up.clone();
        // The future may be dropped at any point: its batch is still in the file, and its
        // connection is dropped with it.
        tokio::select! {
            () = give_up.cancelled() => {}
            () = self.run_paced() => {}
        }
        self.connection.close().await;
    }

    /// Writes batches, with a pause that lets them grow under load.
    async fn run_paced(&mut self) {
        // The first batch need not wait for the connection then.
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

    /// Writes one batch. Returns false if there will be no further batch, or on giving up.
    async fn run_once(&mut self) -> bool {
        let mut retry = RETRY;
        let groups = loop {
            match self.backlog.take(BATCH).await {
                Ok(Some(groups)) => break groups,
                Ok(None) => return false,
                Err(error) => {
                    self.metrics.drain.inbox.failed(DrainFailure::InboxFile);
                    if retry.fail() {
                        let failures = retry.failures();
                        let error = anyhow::Error::from(error);
                        tracing::error!(error = %format!("{error:#}"), failures,
                            "inbox file cannot be read, retrying");
                    }
                    if self.life.is_stopping() {
                        // The groups stay in the file for the next start.
                        return false;
                    }
                    self.pause(retry.spread_wait()).await;
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

    /// Writes a batch, and retries until it is written. Returns false if an attempt fails while the
    /// service stops.
    async fn write(&mut self, groups: &[Group], span: &mut Span) -> bool {
        let deliveries: Vec<&Received> =
            groups.iter().flat_map(|group| &group.deliveries).map(AsRef::as_ref).collect();
        let mut retry = RETRY;
        while let Err(error) = self.connection.write(&deliveries, BATCH_DEADLINE).await {
            let is_logged = retry.fail();
            span.failed(retry.failures());
            if is_logged {
                let error = anyhow::Error::from(error);
                tracing::warn!(error = %format!("{error:#}"), failures = retry.failures(),
                    deliveries = deliveries.len(), waiting = self.backlog.watch_depth().borrow().deliveries,
                    "Postgres does not store deliveries; they are kept in the inbox");
            }
            if self.life.is_stopping() {
                return false;
            }
            self.pause(retry.spread_wait()).await;
        }
        if retry.failures() > 0 {
            tracing::info!(failures = retry.failures(), "Postgres stores deliveries again");
        }
        true
    }

    /// Waits before the next attempt, or until the service stops.
    async fn pause(&self, wait: Duration) {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = self.life.stopping() => {}
        }
    }
}
