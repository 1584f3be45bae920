//! Straight to Postgres, for deliveries whose answer waits for its commit: because the inbox
//! refuses them, or because the service is set to `--ack postgres`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::attempts::Attempts;
use super::connection::{Connection, WriteFailed};
use crate::decode::Received;
use crate::domain::Roles;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
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
/// How long one attempt may take: a connection that the network swallows must leave time for
/// another one.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(3);
/// Waits between attempts: from the first to the last, doubling. Before the second one there is
/// none: most often nothing is wrong but a connection that Postgres closed long ago.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];
/// Attempts where the inbox can still be asked: one over the connection that was there, and one
/// over a new one.
const ATTEMPTS_BEFORE_INBOX: u32 = 2;

/// Who is asked where Postgres does not take a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The inbox: it is asked soon.
    Inbox,
    /// Nobody, so Postgres is tried for as long as somebody waits.
    Nobody,
}

/// The way straight to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Direct {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Why the last attempt failed, until one succeeds.
    trouble: watch::Receiver<Option<Trouble>>,
}

/// What was wrong, for a log.
type Trouble = Arc<str>;

#[derive(Debug)]
struct Waiting {
    received: Arc<Received>,
    written: oneshot::Sender<Result<(), Trouble>>,
    /// Its bytes' share of [`QUEUE_BYTES`].
    _room: OwnedSemaphorePermit,
}

/// Postgres did not confirm the delivery; it may have it all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// It refused, and said why.
    #[error("Postgres did not confirm it: {0}")]
    Refused(Arc<str>),
    /// It did not get to it in time.
    #[error("Postgres did not confirm it within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// Too many wait already.
    #[error("the queue to Postgres is full")]
    QueueFull,
}

impl Direct {
    /// Starts the task that owns the connection; it ends with its last handle. `attempts` gets
    /// the outcome of each attempt to write.
    #[must_use]
    pub fn start(
        connector: Connector,
        roles: Roles,
        otherwise: Otherwise,
        metrics: Arc<Metrics>,
        attempts: Attempts,
        life: &Lifecycle,
    ) -> Self {
        let (queue, submissions) = mpsc::channel(QUEUE_DELIVERIES);
        let (told, trouble) = watch::channel(None);
        let connection = Connection::new(connector, roles, metrics, Way::Direct, attempts);
        let batch = Vec::new();
        let writer = Writer { connection, otherwise, submissions, batch, failures: 0, told };
        life.spawn("direct writer", writer.run());
        Self { queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)), trouble }
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
            Ok(Ok(written)) => written.map_err(NotWritten::Refused),
            _ => Err(match &*self.trouble.borrow() {
                Some(trouble) => NotWritten::Refused(trouble.clone()),
                None => NotWritten::TooSlow,
            }),
        }
    }
}

/// The task that owns the connection.
struct Writer {
    connection: Connection,
    otherwise: Otherwise,
    submissions: mpsc::Receiver<Waiting>,
    /// What is being written.
    batch: Vec<Waiting>,
    /// Attempts that failed since the last one that did not.
    failures: u32,
    told: watch::Sender<Option<Trouble>>,
}

impl Writer {
    async fn run(mut self) {
        while self.next_batch().await {
            self.write().await;
        }
        self.connection.close().await;
    }

    /// Waits for a delivery, and takes all that have come; false when none will come any more.
    async fn next_batch(&mut self) -> bool {
        self.submissions.recv_many(&mut self.batch, BATCH_DELIVERIES).await > 0
    }

    /// Writes until it is written, or until nobody waits for it any more. A write that failed is
    /// done again, whatever the reason, over a new connection: Postgres has restarted since the last
    /// one, ended the transaction for a deadlock, or attached a partition.
    async fn write(&mut self) {
        let (mut attempts, mut backoff) = (0_u32, BACKOFF[0]);
        while !self.batch.is_empty() {
            let Err(error) = self.attempt().await else {
                self.failures = 0;
                self.told.send_replace(None);
                return self.answer(&Ok(()));
            };
            attempts += 1;
            self.failures += 1;
            let trouble = Trouble::from(format!("{:#}", anyhow::Error::from(error)));
            // An outage of an hour is one line at its start, and one now and then; each delivery
            // that is refused for it says why in a line of its own.
            if self.failures.is_power_of_two() {
                tracing::error!(error = %trouble, failures = self.failures,
                    deliveries = self.batch.len(), "deliveries could not go straight to Postgres");
            }
            self.told.send_replace(Some(trouble.clone()));
            if self.otherwise == Otherwise::Inbox && attempts >= ATTEMPTS_BEFORE_INBOX {
                return self.answer(&Err(trouble));
            }
            if attempts > 1 {
                tokio::time::sleep(backoff).await;
                backoff = (backoff * 2).min(BACKOFF[1]);
            }
            self.renew();
        }
    }

    async fn attempt(&mut self) -> Result<(), WriteFailed> {
        let received: Vec<&Received> = self.batch.iter().map(|one| &*one.received).collect();
        let _span = Span::of_batch("direct", received.len());
        self.connection.write(&received, ATTEMPT_DEADLINE).await
    }

    /// Who has given up makes room for those who have come meanwhile: each attempt is for all who
    /// wait at that moment, as far as they fit into one transaction.
    fn renew(&mut self) {
        self.batch.retain(|one| !one.written.is_closed());
        while self.batch.len() < BATCH_DELIVERIES
            && let Ok(one) = self.submissions.try_recv()
        {
            self.batch.push(one);
        }
    }

    fn answer(&mut self, written: &Result<(), Trouble>) {
        for one in self.batch.drain(..) {
            // Who has gone away was answered by nobody.
            let _ = one.written.send(written.clone());
        }
    }
}
