//! The one task that writes the inbox's file.

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
use super::opening::{self, Doubt, Opened};
use super::record::encode_group;
use super::trouble::{Trouble, chain};
use super::{Refused, Submission};
use crate::clock::Clock;
use crate::decode::Received;
use crate::telemetry::Metrics;

/// Most deliveries of one group: what the drain takes to Postgres in one transaction.
const GROUP_DELIVERIES: usize = 1_000;
/// Most bytes of one group, unless a single delivery has more.
const GROUP_BYTES: usize = 4 << 20;
/// How long what is drained may stay in the file while no new group comes to take it away.
const FORGET_AFTER: Duration = Duration::from_secs(1);
/// How often the file is cleared of what was forgotten, where it holds nothing else. It costs a few
/// syncs, and under load new groups write over the old ones anyway.
const SCRUB_EVERY: Duration = Duration::from_mins(1);

/// The writer, before it runs.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) submissions: mpsc::Receiver<Submission>,
    pub(super) backlog: Arc<Backlog>,
    pub(super) quota_bytes: u64,
    pub(super) closing: CancellationToken,
    /// The file takes deliveries; for those who ask how the service is.
    pub(super) writable: Arc<AtomicBool>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    /// Told when the file is open again: a damaged one may have been set aside.
    pub(super) salvage: Arc<Notify>,
    pub(super) trouble: Trouble,
    /// Since when something has been written that was not cleared away.
    pub(super) written_since: Option<Instant>,
}

/// What the start has found.
pub(super) enum Found {
    /// A file that can be trusted.
    File(InboxFile),
    /// None that can be used.
    Nothing,
    /// A large one, which is still being checked.
    Opening(JoinHandle<Result<Opened, FileError>>),
}

/// Whether the file can be trusted.
enum State {
    Open(InboxFile),
    /// A write failed: what the file holds, and whether it takes more, is being found out.
    Reopening(JoinHandle<Opened>),
}

impl Writer {
    /// Runs until the inbox is closed, then closes the file.
    pub(super) async fn run(mut self, found: Found) {
        let mut state = match found {
            Found::File(file) => State::Open(file),
            Found::Nothing => self.distrust(None, Doubt::CannotWrite),
            Found::Opening(opening) => self.await_opening(opening),
        };
        loop {
            state = match state {
                State::Open(file) if self.backlog.is_suspect() => {
                    tracing::error!("the inbox's file cannot be read; it is set aside");
                    self.distrust(Some(file), Doubt::Damaged)
                }
                State::Open(file) => {
                    let Some(group) = self.next_group().await else {
                        self.finish(Some(file)).await;
                        return;
                    };
                    self.write(file, group).await
                }
                State::Reopening(reopening) => match self.refuse_until(reopening).await {
                    Some(opened) => State::Open(self.trust(opened)),
                    None => {
                        self.finish(None).await;
                        return;
                    }
                },
            };
        }
    }

    /// Waits for a delivery, then takes all that have come; empty when there was only something to
    /// forget, `None` when nothing will come any more.
    async fn next_group(&mut self) -> Option<Vec<Submission>> {
        let first = receive(&mut self.submissions, &self.closing);
        let Ok(first) = tokio::time::timeout(FORGET_AFTER, first).await else {
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
        let forget = self.backlog.take_forgettable();
        if group.is_empty() && forget.is_empty() {
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
        match file.commit(new, &forget).await {
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
                self.trouble.is(&error);
                tracing::error!(error = %chain(&error), "the inbox cannot write its file; \
                    deliveries go to Postgres before they are answered");
                self.backlog.give_back(forget);
                answer(waiting, Err(Refused::Failing));
                self.distrust(Some(file), Doubt::of(&error))
            }
        }
    }

    /// Clears the file of what was forgotten, where nothing waits in it and some time has passed.
    async fn scrub(&mut self, mut file: InboxFile) -> State {
        let waited = self.written_since.is_some_and(|since| since.elapsed() >= SCRUB_EVERY);
        if !waited || self.backlog.watch_depth().borrow().deliveries > 0 {
            return State::Open(file);
        }
        self.written_since = None;
        match file.scrub().await {
            Ok(()) => State::Open(file),
            Err(error) => {
                self.trouble.is(&error);
                tracing::error!(error = %chain(&error), "the inbox cannot clear its file");
                self.distrust(Some(file), Doubt::of(&error))
            }
        }
    }

    /// Opens the file anew, away from the writer: after a failed sync the kernel may have dropped
    /// what it could not write, so nothing in memory says what the disk holds.
    fn distrust(&self, old: Option<InboxFile>, doubt: Doubt) -> State {
        self.writable.store(false, Ordering::Relaxed);
        let (path, clock, trouble) = (self.path.clone(), self.clock.clone(), self.trouble.clone());
        let known = self.backlog.last_seq();
        State::Reopening(tokio::spawn(async move {
            if let Some(old) = old {
                opening::give_up(old, &path, &clock, doubt).await;
            }
            opening::until_it_opens(&path, &clock, doubt, known, &trouble).await
        }))
    }

    /// The start's own attempt at the file goes on.
    fn await_opening(&self, opening: JoinHandle<Result<Opened, FileError>>) -> State {
        let (path, clock, trouble) = (self.path.clone(), self.clock.clone(), self.trouble.clone());
        State::Reopening(tokio::spawn(async move {
            if let Ok(Ok(opened)) = opening.await {
                return opened;
            }
            opening::until_it_opens(&path, &clock, Doubt::CannotWrite, 0, &trouble).await
        }))
    }

    fn trust(&self, opened: Opened) -> InboxFile {
        let Opened { file, contents, set_aside } = opened;
        if set_aside {
            self.backlog.start_over();
        }
        // Whether this attempt set a file aside or an earlier one did that failed afterwards.
        self.salvage.notify_one();
        self.backlog.adopt(contents);
        self.writable.store(true, Ordering::Relaxed);
        tracing::info!("the inbox takes deliveries again");
        file
    }

    /// Refuses every delivery at once until the file is open again; `None` when no sender is left.
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

    /// Nothing comes any more: waits until the drain has taken what it can, forgets that, closes.
    async fn finish(self, file: Option<InboxFile>) {
        self.backlog.close();
        self.backlog.drain_ended().await;
        self.backlog.close_reader().await;
        let Some(mut file) = file else { return };
        let forget = self.backlog.take_forgettable();
        let mut closed = Ok(());
        if !forget.is_empty() {
            closed = file.commit(None, &forget).await;
        }
        if closed.is_ok() && self.backlog.watch_depth().borrow().deliveries == 0 {
            closed = file.scrub().await;
        }
        if let Err(error) = closed.and(opening::close(file, &self.path).await) {
            // What could not be forgotten is drained again, and found to be there.
            tracing::warn!(error = %chain(&error), "the inbox did not close cleanly");
        }
    }
}

/// Lets in what there is room for, and refuses the rest; what is refused takes no room from what
/// comes behind it.
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
        // Whoever went away meanwhile hears nothing, and what it sent is kept all the same.
        let _ = one.send(outcome);
    }
}

/// The next delivery; `None` once the inbox is closed and nothing is left.
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
    fn a_body_that_finds_no_room_takes_none_from_those_behind_it() {
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
