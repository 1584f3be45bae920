//! The durable local queue between the answer and Postgres.
//!
//! One `SQLite` file, one writer task that owns its connection, group commit without a timer: while
//! one commit runs, the next group collects. What is drained is forgotten inside the next group's
//! transaction, so forgetting costs no sync of its own.
//!
//! A file that is damaged is set aside and replaced, and what can still be read of it is brought
//! over by `salvage`; the service takes deliveries all the while.
//!
//! It owns its files and nothing else; it knows neither HTTP nor Postgres.

mod backlog;
mod examine;
mod file;
mod group;
mod opening;
mod record;
mod salvage;
mod trouble;
mod undrained;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use backlog::Backlog;
pub use examine::{Examination, examine, set_aside};
pub use file::FileError;
pub use group::{BatchLimits, Depth, Group};
pub use record::{Damaged, decode_group, encode_group};
pub use salvage::{Readable, read_damaged};

use self::opening::Opened;
use self::trouble::{Trouble, chain};
use self::writer::Found;
use crate::clock::Clock;
use crate::decode::Received;
use crate::lifecycle::Lifecycle;
use crate::telemetry::Metrics;

/// Deliveries that may wait for the writer. At 3,000 commits a second they wait for a few
/// milliseconds; a queue that is full means that the disk has stopped.
const QUEUE_DELIVERIES: usize = 16_384;
/// Bytes that may wait for the writer; large bodies fill memory long before the count does.
const QUEUE_BYTES: usize = 64 << 20;

/// How long the start waits for the file to be checked, all of which is read for it. Until then
/// connections wait in the kernel's queue, and the sender waits for 10 s.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

/// The way into the inbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    queue: mpsc::Sender<Submission>,
    room: Arc<Semaphore>,
    closing: CancellationToken,
    writable: Arc<AtomicBool>,
    trouble: Trouble,
}

/// A delivery on its way to disk, and who waits for it.
#[derive(Debug)]
struct Submission {
    received: Arc<Received>,
    durable: oneshot::Sender<Result<(), Refused>>,
    /// Its bytes' share of [`QUEUE_BYTES`].
    room: OwnedSemaphorePermit,
}

/// Why the inbox did not take a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More waits to be written than memory should hold.
    #[error("the inbox's queue is full")]
    QueueFull,
    /// The undrained deliveries take all the room that they may.
    #[error("the inbox has reached its quota")]
    QuotaReached,
    /// The file could not be written, or is being checked after that.
    #[error("the inbox cannot write its file")]
    Failing,
    /// The service is stopping.
    #[error("the inbox is closed")]
    Closed,
}

impl Inbox {
    /// Opens the file, finds what an earlier run left in it, and starts the writer. A damaged file
    /// is set aside, and salvaged in the background. Where no file can be had (the disk is full, or
    /// somebody else's, or a large file takes long to check), the inbox starts without, refuses
    /// what it is given, and tries again or goes on checking.
    ///
    /// The one error is a file of a newer version's: its deliveries would have to wait for that.
    pub async fn open(
        path: &Path,
        quota_bytes: u64,
        metrics: Arc<Metrics>,
        clock: &Clock,
        life: &Lifecycle,
    ) -> Result<(Self, Arc<Backlog>), FileError> {
        let trouble = Trouble::default();
        let (found, contents) = match look(path, clock).await {
            Ok(Ok(Opened { file, contents, .. })) => (Found::File(file), contents),
            Ok(Err(error @ FileError::FromTheFuture(_))) => return Err(error),
            Ok(Err(error)) => {
                trouble.is(&error);
                tracing::error!(error = %chain(&error), "the inbox cannot be opened; deliveries go \
                    to Postgres before they are answered, until it can");
                (Found::Nothing, None)
            }
            Err(opening) => {
                tracing::warn!(
                    "the inbox's file takes long to check; deliveries go to Postgres \
                    before they are answered, until that is done"
                );
                (Found::Opening(opening), None)
            }
        };
        let backlog = Arc::new(Backlog::new(path, contents));
        let (queue, submissions) = mpsc::channel(QUEUE_DELIVERIES);
        let closing = CancellationToken::new();
        let writable = Arc::new(AtomicBool::new(matches!(found, Found::File(_))));
        let wake = Arc::new(Notify::new());
        let writer = writer::Writer {
            path: path.to_owned(),
            submissions,
            backlog: backlog.clone(),
            quota_bytes,
            closing: closing.clone(),
            writable: writable.clone(),
            metrics,
            clock: clock.clone(),
            salvage: wake.clone(),
            trouble: trouble.clone(),
            written_since: None,
        };
        life.spawn("inbox writer", writer.run(found));
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let inbox = Self { queue, room, closing, writable, trouble };
        let salvage = salvage::Salvage {
            path: path.to_owned(),
            inbox: inbox.clone(),
            life: life.clone(),
            wake,
        };
        life.spawn("inbox salvage", salvage.run());
        Ok((inbox, backlog))
    }

    /// The file takes deliveries, as far as is known.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// Why the file takes nothing, or took nothing when it last did not.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.told()
    }

    /// Takes no more, and writes what has been handed over.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Hands a delivery over to the writer, before any await: from here on it is written even if
    /// the caller goes away. The answer comes when it is durable, or cannot be.
    pub fn submit(&self, received: Arc<Received>) -> oneshot::Receiver<Result<(), Refused>> {
        let (durable, answer) = oneshot::channel();
        let bytes = u32::try_from(received.arrival.body.len()).unwrap_or(u32::MAX);
        let refused = match self.room.clone().try_acquire_many_owned(bytes) {
            Err(_) => Some((Refused::QueueFull, durable)),
            Ok(room) => match self.queue.try_send(Submission { received, durable, room }) {
                Ok(()) => None,
                Err(TrySendError::Full(back)) => Some((Refused::QueueFull, back.durable)),
                Err(TrySendError::Closed(back)) => Some((Refused::Closed, back.durable)),
            },
        };
        if let Some((why, durable)) = refused {
            // The receiver is ours and still there.
            let _ = durable.send(Err(why));
        }
        answer
    }
}

/// Opens the file, or gives back the opening where that takes long. It is never dropped half-way:
/// a connection that ends by itself removes the log by its name.
async fn look(
    path: &Path,
    clock: &Clock,
) -> Result<Result<Opened, FileError>, JoinHandle<Result<Opened, FileError>>> {
    let (place, clock) = (path.to_owned(), clock.clone());
    let mut opening = tokio::spawn(async move { opening::open(&place, &clock, 0).await });
    match tokio::time::timeout(OPEN_PATIENCE, &mut opening).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(died)) => Ok(Err(FileError::Io {
            what: "cannot open the inbox's file",
            path: path.to_owned(),
            source: std::io::Error::other(died),
        })),
        Err(_) => Err(opening),
    }
}
