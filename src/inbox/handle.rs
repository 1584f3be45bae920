//! Handle of the inbox: submits deliveries to the writer, or refuses them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::last_error::LastError;
use super::recovery::progress::Progress;
use super::recovery::set_aside;
use crate::decode::Received;

/// Handle that submits deliveries to the inbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(super) queue: mpsc::Sender<Submission>,
    pub(super) room: Arc<Semaphore>,
    pub(super) closing: CancellationToken,
    pub(super) writable: Arc<AtomicBool>,
    pub(super) last_error: LastError,
    pub(super) path: PathBuf,
    pub(super) recovery: watch::Receiver<Progress>,
}

/// Delivery for the writer, with the channel for its outcome.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) received: Arc<Received>,
    pub(super) durable: oneshot::Sender<Result<(), Refused>>,
    /// Its bytes' share of the queue's limit.
    pub(super) room: OwnedSemaphorePermit,
}

/// Reason why the inbox did not accept a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The deliveries that wait for the writer have reached the limit in count or bytes.
    #[error("the inbox's queue is full")]
    QueueFull,
    /// The undrained deliveries have reached the quota.
    #[error("the inbox has reached its quota")]
    QuotaReached,
    /// The file could not be written, or is being checked after a failed write.
    #[error("the inbox cannot write its file")]
    Failing,
    /// The service is stopping.
    #[error("the inbox is closed")]
    Closed,
}

impl Inbox {
    /// Returns true if the file accepted the last write.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    /// Returns the last error of the file. It stays after the file works again.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<str>> {
        self.last_error.get()
    }

    /// Returns the number of damaged files that cannot be read now; `None` while a file is still to
    /// be recovered.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be read.
    pub async fn unreadable_files(&self) -> std::io::Result<Option<usize>> {
        let Progress { is_idle, failed } = *self.recovery.borrow();
        // The folder has files that were set aside after the last attempt.
        let path = self.path.clone();
        let unrecovered = blocking(move || set_aside::unrecovered(&path)).await?.len();
        Ok((is_idle && unrecovered <= failed).then_some(failed))
    }

    /// Refuses new deliveries, and writes those already submitted.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Queues a delivery for the writer without an await: it is written even if the caller is
    /// cancelled. The receiver resolves when the delivery is durable or refused.
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
            // The receiver still exists: this function returns it.
            let _ = durable.send(Err(why));
        }
        answer
    }
}
