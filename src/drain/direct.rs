//! Straight to Postgres, for deliveries whose answer waits for its commit: because the inbox
//! refuses them, or because the service is set to `--ack postgres`.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::connection::Connection;
use crate::decode::Received;
use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics::Way;
use crate::telemetry::{Metrics, Span};

/// Deliveries that may wait. With the batches below that is a few seconds of work.
const QUEUE_DELIVERIES: usize = 4_096;
/// Bytes that may wait.
const QUEUE_BYTES: usize = 64 << 20;
/// Deliveries of one transaction.
const BATCH_DELIVERIES: usize = 1_000;
/// How long a delivery may wait in all: the sender waits for 10 s, and the inbox may have been
/// asked for 3 s before.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one batch may take.
const BATCH_DEADLINE: Duration = Duration::from_secs(5);

/// The way straight to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Direct {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Waiting {
    received: Arc<Received>,
    written: oneshot::Sender<bool>,
    /// Its bytes' share of [`QUEUE_BYTES`].
    _room: OwnedSemaphorePermit,
}

/// Postgres did not confirm the delivery; it may have it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// It refused or did not answer; the log says why.
    #[error("Postgres did not confirm it")]
    Unconfirmed,
    /// Too many wait already.
    #[error("the queue to Postgres is full")]
    QueueFull,
}

impl Direct {
    /// Starts the task that owns the connection; it ends with its last handle. `committed` ticks
    /// after each commit.
    #[must_use]
    pub fn start(
        options: PgConnectOptions,
        metrics: Arc<Metrics>,
        committed: watch::Sender<()>,
        life: &Lifecycle,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_DELIVERIES);
        let connection = Connection::new(options, metrics, Way::Direct, committed);
        life.spawn("direct writer", run(connection, waiting));
        Self { queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)) }
    }

    /// Returns once Postgres has committed the delivery.
    pub async fn write(&self, received: Arc<Received>) -> Result<(), NotWritten> {
        let (written, answer) = oneshot::channel();
        let bytes = u32::try_from(received.arrival.body.len()).unwrap_or(u32::MAX);
        let room = self.room.clone().try_acquire_many_owned(bytes);
        let room = room.map_err(|_| NotWritten::QueueFull)?;
        let waiting = Waiting { received, written, _room: room };
        self.queue.try_send(waiting).map_err(|_| NotWritten::QueueFull)?;
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(true)) => Ok(()),
            _ => Err(NotWritten::Unconfirmed),
        }
    }
}

async fn run(mut connection: Connection, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(BATCH_DELIVERIES);
    while waiting.recv_many(&mut batch, BATCH_DELIVERIES).await > 0 {
        let received: Vec<&Received> = batch.iter().map(|one: &Waiting| &*one.received).collect();
        let _span = Span::of_batch("direct", received.len());
        let written = match connection.write(&received, BATCH_DEADLINE).await {
            Ok(()) => true,
            Err(error) => {
                let error = anyhow::Error::from(error);
                tracing::error!(error = %format!("{error:#}"), deliveries = received.len(),
                    "deliveries could not go straight to Postgres");
                false
            }
        };
        for one in batch.drain(..) {
            // Who has gone away was answered by nobody.
            let _ = one.written.send(written);
        }
    }
    connection.close().await;
}
