//! The durable local queue between the answer and Postgres.
//!
//! One `SQLite` file, one writer task that owns its connection, group commit without a timer: while
//! one commit runs, the next group collects. Drained groups are deleted in the next group's
//! transaction, so a deletion costs no extra sync.
//!
//! A damaged file is set aside and replaced. `recovery` recovers its intact deliveries while the
//! service accepts new ones.
//!
//! The module owns its files, and knows neither HTTP nor Postgres.

mod backlog;
mod blocking;
mod examine;
mod file;
mod group;
mod handle;
mod last_error;
mod opening;
mod page_size;
mod record;
mod recovery;
mod undrained;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use backlog::Backlog;
pub use examine::{Examination, examine, set_aside};
pub use file::FileError;
pub use group::{BatchLimits, Depth, Group};
pub use handle::{Inbox, Refused};
pub use record::{Damaged, decode_group, encode_group};
pub use recovery::{Readable, read_damaged};

use self::last_error::{LastError, chain};
use self::opening::Opened;
use self::recovery::progress::Progress;
use self::recovery::set_aside as aside;
use self::writer::InitialState;
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::telemetry::Metrics;

/// Deliveries that may wait for the writer. At 3,000 commits a second they wait for a few
/// milliseconds; a queue that is full means that the disk has stopped.
const QUEUE_DELIVERIES: usize = 16_384;
/// Bytes that may wait for the writer; large bodies fill memory long before the count does.
const QUEUE_BYTES: usize = 64 << 20;

/// Longest time that the start waits for the check of the file, which reads all of it. Meanwhile
/// connections wait in the kernel's queue, and the sender waits for 10 s.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);

impl Inbox {
    /// Opens the file, counts the deliveries of an earlier run, and starts the writer.
    ///
    /// A damaged file is set aside, and recovered in the background. If no file can be used yet
    /// (the disk is full, the folder belongs to another account, or a large file takes long to
    /// check), the inbox starts without one. It then refuses deliveries, and retries or continues
    /// the check.
    ///
    /// # Errors
    ///
    /// Returns only [`FileError::FromTheFuture`]: this version cannot drain the file's deliveries.
    pub async fn open(
        path: &Path,
        quota_bytes: u64,
        metrics: Arc<Metrics>,
        clock: &Clock,
        life: &Lifecycle,
    ) -> Result<(Self, Arc<Backlog>), FileError> {
        let last_error = LastError::default();
        let (initial, contents) = match open_file(path, clock).await {
            Ok(Ok(Opened { file, contents, .. })) => (InitialState::File(file), contents),
            Ok(Err(error @ FileError::FromTheFuture(_))) => return Err(error),
            Ok(Err(error)) => {
                last_error.set(&error);
                tracing::error!(error = %chain(&error), "inbox cannot be opened; deliveries are \
                    written to Postgres before their answer until it can");
                (InitialState::Nothing, None)
            }
            Err(opening) => {
                tracing::warn!(
                    "checking the inbox's file takes long; deliveries are written to Postgres \
                        before their answer until it ends"
                );
                (InitialState::Opening(opening), None)
            }
        };
        let backlog = Arc::new(Backlog::new(path, contents));
        let (queue, submissions) = mpsc::channel(QUEUE_DELIVERIES);
        let closing = CancellationToken::new();
        let writable = Arc::new(AtomicBool::new(matches!(initial, InitialState::File(_))));
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
            recovery: wake.clone(),
            last_error: last_error.clone(),
            written_since: None,
        };
        life.spawn("inbox writer", writer.run(initial));
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let (progress, recovery) = watch::channel(Progress::default());
        let path = path.to_owned();
        let inbox = Self { queue, room, closing, writable, last_error, path, recovery };
        let recovery = recovery::Recovery {
            path: inbox.path.clone(),
            inbox: inbox.clone(),
            life: life.clone(),
            wake,
            progress,
        };
        life.spawn("inbox recovery", recovery.run());
        Ok((inbox, backlog))
    }
}

/// Returns true if there is an inbox at `path`: its file, its log, or a damaged file that is still
/// to be recovered.
///
/// # Errors
///
/// Returns an error if the folder cannot be read.
pub fn exists(path: &Path) -> std::io::Result<bool> {
    let is_there = path.try_exists()? || aside::log_of(path).try_exists()?;
    Ok(is_there || !aside::unrecovered(path)?.is_empty())
}

/// Opens the file. After [`OPEN_PATIENCE`] returns the task that opens it. The task is never
/// aborted: a connection that is dropped, not closed, later removes the log by its name.
async fn open_file(
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
