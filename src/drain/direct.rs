//! Direct writes to Postgres, for deliveries whose answer waits for the commit: the inbox refused
//! them, or the service runs with `--ack postgres`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::attempts::Attempts;
use super::connection::{Connection, WriteFailed};
use crate::decode::Received;
use crate::domain::Roles;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::retry::{Retry, is_logged};
use crate::telemetry::metrics::WritePath;
use crate::telemetry::{Metrics, Span};

/// Most deliveries that wait: a few seconds of work with the batches below.
const QUEUE_DELIVERIES: usize = 4_096;
/// Most bytes that wait.
const QUEUE_BYTES: usize = 64 << 20;
/// Most deliveries of one transaction.
const BATCH_DELIVERIES: usize = 1_000;
/// Longest wait of a delivery: the sender waits for 10 s, and the inbox may have used 3 s before.
const PATIENCE: Duration = Duration::from_secs(6);
/// Longest time of one attempt: a dead connection must leave time for another attempt.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(3);
/// Waits between attempts. The second one follows immediately: the usual cause of a failure is a
/// connection that Postgres has closed.
const RETRY: Retry = Retry::new(Duration::from_millis(50), Duration::from_millis(500));
/// Attempts before the fallback to the inbox: one over the existing connection, one over a new one.
const ATTEMPTS_BEFORE_INBOX: u32 = 2;

/// Fallback for deliveries that Postgres does not store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The inbox, after few attempts.
    Inbox,
    /// None: the write is retried while a caller waits.
    Nobody,
}

/// Handle that writes deliveries directly to Postgres. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Direct {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Error of the last attempt, until one succeeds.
    last_error: watch::Receiver<Option<ErrorText>>,
}

/// Text of an error, for the log.
type ErrorText = Arc<str>;

#[derive(Debug)]
struct Waiting {
    received: Arc<Received>,
    written: oneshot::Sender<Result<(), ErrorText>>,
    /// Its bytes' share of [`QUEUE_BYTES`].
    _room: OwnedSemaphorePermit,
}

/// Postgres did not confirm the delivery; it may have stored it all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// The write failed, with this error.
    #[error("Postgres did not confirm it: {0}")]
    Refused(Arc<str>),
    /// No attempt ended in time.
    #[error("Postgres did not confirm it within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// The queue is full, in count or bytes.
    #[error("the queue to Postgres is full")]
    QueueFull,
}

impl Direct {
    /// Starts the task that owns the connection. It ends when the last handle is dropped.
    /// `attempts` receives the outcome of each attempt.
    #[must_use]
    pub fn start(
        connector: Connector,
        roles: Roles,
        otherwise: Fallback,
        metrics: Arc<Metrics>,
        attempts: Attempts,
        life: &Lifecycle,
    ) -> Self {
        let (queue, submissions) = mpsc::channel(QUEUE_DELIVERIES);
        let (sender, last_error) = watch::channel(None);
        let connection = Connection::new(connector, roles, metrics, WritePath::Direct, attempts);
        let batch = Vec::new();
        let writer =
            Writer { connection, otherwise, submissions, batch, failures: 0, last_error: sender };
        life.spawn("direct writer", writer.run());
        Self { queue, room: Arc::new(Semaphore::new(QUEUE_BYTES)), last_error }
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
            _ => Err(match &*self.last_error.borrow() {
                Some(text) => NotWritten::Refused(text.clone()),
                None => NotWritten::TooSlow,
            }),
        }
    }
}

/// State of the task that owns the connection.
struct Writer {
    connection: Connection,
    otherwise: Fallback,
    submissions: mpsc::Receiver<Waiting>,
    /// Deliveries that are being written.
    batch: Vec<Waiting>,
    /// Failed attempts since the last success.
    failures: u32,
    last_error: watch::Sender<Option<ErrorText>>,
}

impl Writer {
    async fn run(mut self) {
        while self.next_batch().await {
            self.write().await;
        }
        self.connection.close().await;
    }

    /// Waits for a delivery, and takes all that are queued. Returns false when the queue is closed.
    async fn next_batch(&mut self) -> bool {
        self.submissions.recv_many(&mut self.batch, BATCH_DELIVERIES).await > 0
    }

    /// Writes the batch, and retries until it is written or no caller waits for it. Every error is
    /// retried over a new connection: Postgres may have restarted, rolled the transaction back for
    /// a deadlock, or attached a partition.
    async fn write(&mut self) {
        let mut retry = RETRY;
        while !self.batch.is_empty() {
            let Err(error) = self.attempt().await else {
                self.failures = 0;
                self.last_error.send_replace(None);
                return self.answer(&Ok(()));
            };
            retry.fail();
            self.failures += 1;
            let text = ErrorText::from(format!("{:#}", anyhow::Error::from(error)));
            // Each refused delivery is logged separately, with the reason.
            if is_logged(self.failures) {
                tracing::error!(error = %text, failures = self.failures,
                    deliveries = self.batch.len(), "deliveries could not go straight to Postgres");
            }
            self.last_error.send_replace(Some(text.clone()));
            if self.otherwise == Fallback::Inbox && retry.failures() >= ATTEMPTS_BEFORE_INBOX {
                return self.answer(&Err(text));
            }
            if retry.failures() > 1 {
                tokio::time::sleep(retry.wait()).await;
            }
            self.refresh_batch();
        }
    }

    async fn attempt(&mut self) -> Result<(), WriteFailed> {
        let received: Vec<&Received> = self.batch.iter().map(|one| &*one.received).collect();
        let _span = Span::of_batch("direct", received.len());
        self.connection.write(&received, ATTEMPT_DEADLINE).await
    }

    /// Replaces deliveries whose caller has given up by queued ones, so that each attempt serves
    /// the callers that wait now, up to the limit of a transaction.
    fn refresh_batch(&mut self) {
        self.batch.retain(|one| !one.written.is_closed());
        while self.batch.len() < BATCH_DELIVERIES
            && let Ok(one) = self.submissions.try_recv()
        {
            self.batch.push(one);
        }
    }

    fn answer(&mut self, written: &Result<(), ErrorText>) {
        for one in self.batch.drain(..) {
            // The caller may have given up.
            let _ = one.written.send(written.clone());
        }
    }
}
