//! The task that writes the inbox's file. No other code writes to it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::file::{FileError, InboxFile};
use super::group::GroupInfo;
use super::handle::{Refused, Submission};
use super::last_error::{LastError, chain};
use super::opening::{self, Opened, ReopenReason};
use super::record::encode_group;
use crate::clock::Clock;
use crate::decode::Received;
use crate::telemetry::Metrics;

/// Most deliveries of one group: as many as the drain writes in one transaction.
const GROUP_DELIVERIES: usize = 1_000;
/// Most bytes of one group, unless a single delivery has more.
const GROUP_BYTES: usize = 4 << 20;
/// Time after which drained groups are deleted without a new group.
const DELETE_AFTER: Duration = Duration::from_secs(1);
/// Time after which the remains of deleted groups are erased from an otherwise empty file. It costs
/// a few syncs, and under load new groups overwrite the remains anyway.
const SCRUB_EVERY: Duration = Duration::from_mins(1);

/// State of the writer.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) quota_bytes: u64,
    pub(super) closing: CancellationToken,
    /// True while the file accepts writes; read by health checks.
    pub(super) writable: Arc<AtomicBool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    /// Notified when the file is open again: a damaged one may have been set aside.
    pub(super) recovery: Arc<Notify>,
    pub(super) last_error: LastError,
    /// Time of the first write since the last scrub.
    pub(super) written_since: Option<Instant>,
}

/// State of the file after the start.
pub(super) enum InitialState {
    /// The file is open and checked.
    File(InboxFile),
    /// No usable file.
    Nothing,
    /// A large file is still being checked.
    Opening(JoinHandle<Result<Opened, FileError>>),
}

/// State of the file.
enum State {
    Open(InboxFile),
    /// A write failed: the file is being opened and checked again.
    Reopening(JoinHandle<Opened>),
}

impl Writer {
    /// Runs until the inbox is closed, then closes the file.
    pub(super) async fn run(mut self, initial: InitialState) {
        let mut state = match initial {
            InitialState::File(file) => State::Open(file),
            InitialState::Nothing => self.reopen(None, ReopenReason::CannotWrite),
            InitialState::Opening(opening) => self.await_opening(opening),
        };
        loop {
            state = match state {
                State::Open(file) if self.backlog.is_suspect() => {
                    tracing::error!("inbox file cannot be read and is set aside");
                    self.reopen(Some(file), ReopenReason::Damaged)
                }
                State::Open(file) => {
                    let Some(group) = self.next_group().await else {
                        self.finish(Some(file)).await;
                        return;
                    };
                    self.write(file, group).await
                }
                State::Reopening(reopening) => match self.refuse_until(reopening).await {
                    Some(opened) => State::Open(self.resume(opened)),
                    None => {
                        self.finish(None).await;
                        return;
                    }
                },
            };
        }
    }

    /// Waits for a delivery, then takes all that are queued, within the limits of a group. Returns
    /// an empty group after [`DELETE_AFTER`], and `None` when the inbox is closed and empty.
    async fn next_group(&mut self) -> Option<Vec<Submission>> {
        let first = receive(&mut self.submissions, &self.closing);
        let Ok(first) = tokio::time::timeout(DELETE_AFTER, first).await else {
            return Some(Vec::new());
        };
        let first = first?;
        let mut bytes = first.received.arrival.body.len();
        let mut group = vec![first];
        while group.len() < GROUP_DELIVERIES
            && bytes < GROUP_BYTES
            && let Ok(next) = self.submissions.try_recv()
        {
            bytes += next.received.arrival.body.len();
            group.push(next);
        }
        Some(group)
    }

    async fn write(&mut self, mut file: InboxFile, group: Vec<Submission>) -> State {
        let deletable = self.backlog.take_deletable();
        if group.is_empty() && deletable.is_empty() {
            return self.scrub(file).await;
        }
        self.written_since.get_or_insert_with(Instant::now);
        let used = self.backlog.watch_depth().borrow().bytes;
        let group = admit(group, self.quota_bytes.saturating_sub(used));
        let (deliveries, waiting): (Vec<Arc<Received>>, Vec<Waiting>) =
            group.into_iter().map(|one| (one.received, (one.durable, one.room))).unzip();
        let arrivals = deliveries.iter().map(|one| &one.arrival);
        let payload = encode_group(arrivals.clone());
        let info = GroupInfo {
            seq: self.backlog.next_seq(deliveries.len()),
            count: deliveries.len(),
            bytes: payload.len() as u64,
            oldest_at: arrivals.map(|one| one.received_at).min().unwrap_or_default(),
        };
        let new = (!deliveries.is_empty()).then_some((&info, payload));
        let started = Instant::now();
        match file.commit(new, &deletable).await {
            Ok(()) => {
                self.metrics.inbox.committed(deliveries.len(), started.elapsed());
                if !deliveries.is_empty() {
                    self.backlog.push(info, deliveries);
                }
                answer(waiting, Ok(()));
                State::Open(file)
            }
            Err(error) => {
                self.metrics.inbox.failed();
                self.last_error.set(&error);
                tracing::error!(error = %chain(&error), "inbox file cannot be written; \
                    deliveries are written to Postgres before their answer");
                self.backlog.return_deletable(deletable);
                answer(waiting, Err(Refused::Failing));
                self.reopen(Some(file), ReopenReason::of(&error))
            }
        }
    }

    /// Erases the remains of deleted groups, if the inbox is empty and [`SCRUB_EVERY`] has passed.
    async fn scrub(&mut self, mut file: InboxFile) -> State {
        let waited = self.written_since.is_some_and(|since| since.elapsed() >= SCRUB_EVERY);
        if !waited || self.backlog.watch_depth().borrow().deliveries > 0 {
            return State::Open(file);
        }
        self.written_since = None;
        match file.scrub().await {
            Ok(()) => State::Open(file),
            Err(error) => {
                self.last_error.set(&error);
                tracing::error!(error = %chain(&error), "inbox file cannot be scrubbed");
                self.reopen(Some(file), ReopenReason::of(&error))
            }
        }
    }

    /// Closes the file and opens it again, in a separate task. After a failed sync the kernel may
    /// have dropped dirty pages, so the contents of the disk are unknown.
    fn reopen(&self, old: Option<InboxFile>, reason: ReopenReason) -> State {
        self.writable.store(false, Ordering::Relaxed);
        let (path, clock, last_error) =
            (self.path.clone(), self.clock.clone(), self.last_error.clone());
        let known = self.backlog.last_seq();
        State::Reopening(tokio::spawn(async move {
            if let Some(old) = old {
                opening::close_for_reopen(old, &path, &clock, reason).await;
            }
            opening::open_with_retries(&path, &clock, reason, known, &last_error).await
        }))
    }

    /// Waits in a separate task for the attempt of the start to open the file.
    fn await_opening(&self, opening: JoinHandle<Result<Opened, FileError>>) -> State {
        let (path, clock, last_error) =
            (self.path.clone(), self.clock.clone(), self.last_error.clone());
        State::Reopening(tokio::spawn(async move {
            if let Ok(Ok(opened)) = opening.await {
                return opened;
            }
            opening::open_with_retries(&path, &clock, ReopenReason::CannotWrite, 0, &last_error)
                .await
        }))
    }

    fn resume(&self, opened: Opened) -> InboxFile {
        let Opened { file, contents, set_aside } = opened;
        if set_aside {
            self.backlog.start_over();
        }
        // Always: an earlier attempt may have set a file aside and failed afterwards.
        self.recovery.notify_one();
        self.backlog.adopt(contents);
        self.writable.store(true, Ordering::Relaxed);
        tracing::info!("inbox accepts deliveries again");
        file
    }

    /// Refuses every delivery immediately until the file is open again. Returns `None` when the
    /// inbox is closed and empty.
    async fn refuse_until(&mut self, mut reopening: JoinHandle<Opened>) -> Option<Opened> {
        loop {
            tokio::select! {
                opened = &mut reopening => return opened.ok(),
                one = receive(&mut self.submissions, &self.closing) => {
                    let Some(one) = one else {
                        reopening.abort();
                        return None;
                    };
                    answer(vec![(one.durable, one.room)], Err(Refused::Failing));
                }
            }
        }
    }

    /// Waits for the end of the drain, deletes the drained groups, and closes the file.
    async fn finish(self, file: Option<InboxFile>) {
        self.backlog.close();
        self.backlog.drain_ended().await;
        self.backlog.close_reader().await;
        let Some(mut file) = file else { return };
        let deletable = self.backlog.take_deletable();
        let mut closed = Ok(());
        if !deletable.is_empty() {
            closed = file.commit(None, &deletable).await;
        }
        if closed.is_ok() && self.backlog.watch_depth().borrow().deliveries == 0 {
            closed = file.scrub().await;
        }
        if let Err(error) = closed.and(opening::close(file, &self.path).await) {
            // Groups that could not be deleted are drained again, as duplicates.
            tracing::warn!(error = %chain(&error), "inbox file was not closed cleanly");
        }
    }
}

/// Admits the deliveries that fit into `room` bytes, and refuses the others. A refused delivery
/// uses no room, so a smaller one after it may still fit.
fn admit(group: Vec<Submission>, mut room: u64) -> Vec<Submission> {
    let mut admitted = Vec::with_capacity(group.len());
    for one in group {
        match room.checked_sub(one.received.arrival.body.len() as u64) {
            Some(left) => {
                room = left;
                admitted.push(one);
            }
            None => answer(vec![(one.durable, one.room)], Err(Refused::QuotaReached)),
        }
    }
    admitted
}

type Waiting = (oneshot::Sender<Result<(), Refused>>, OwnedSemaphorePermit);

fn answer(waiting: Vec<Waiting>, outcome: Result<(), Refused>) {
    for (one, _room) in waiting {
        // A client may have disconnected; its delivery is stored all the same.
        let _ = one.send(outcome);
    }
}

/// Returns the next delivery; `None` when the inbox is closed and none is left.
async fn receive(
    submissions: &mut mpsc::Receiver<Submission>,
    closing: &CancellationToken,
) -> Option<Submission> {
    tokio::select! {
        biased;
        one = submissions.recv() => one,
        () = closing.cancelled() => {
            submissions.close();
            submissions.recv().await
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::domain::{Arrival, DeliveryId, Evidence, SourceName};

    fn submission(bytes: usize) -> (Submission, oneshot::Receiver<Result<(), Refused>>) {
        let arrival = Arrival {
            id: DeliveryId(uuid::Uuid::from_u128(7)),
            received_at: chrono::DateTime::default(),
            source: SourceName::default(),
            evidence: Evidence::default(),
            body: vec![b' '; bytes].into(),
        };
        let (durable, answer) = oneshot::channel();
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        (Submission { received: Arc::new(arrival.into()), durable, room }, answer)
    }

    #[test]
    fn refused_body_leaves_room_for_later_ones() {
        let (group, mut answers): (Vec<_>, Vec<_>) =
            [60, 500, 40, 1].map(submission).into_iter().unzip();
        let admitted = admit(group, 100);
        let lengths: Vec<usize> =
            admitted.iter().map(|one| one.received.arrival.body.len()).collect();
        assert_eq!(lengths, [60, 40]);
        assert_eq!(answers[1].try_recv(), Ok(Err(Refused::QuotaReached)));
        assert_eq!(answers[3].try_recv(), Ok(Err(Refused::QuotaReached)));
    }
}
