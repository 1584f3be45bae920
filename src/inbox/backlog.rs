//! Groups in the inbox that are not yet in Postgres: in memory while the drain keeps up, beyond
//! that only in the file.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::{FileError, InboxReader, StoredGroup};
use super::group::{BatchLimits, BatchSize, Contents, Depth, Group, GroupInfo};
use super::record::decode_group;
use super::recovery::set_aside;
use super::undrained::State;
use crate::decode::Received;

/// Most bytes of groups, in their form in the file, that wait in memory; the drain reads further
/// ones from the file. With the decoded deliveries they use two to three times as much memory.
const MEMORY_BYTES: u64 = 32 << 20;
/// Time of failed reads after which the file counts as damaged. A short disk fault has ended by
/// then; a bad sector would block all groups after it for ever.
const READ_PATIENCE: Duration = Duration::from_mins(1);

/// Groups that are durable and not yet drained.
#[derive(Debug)]
pub struct Backlog {
    path: PathBuf,
    state: Mutex<State>,
    /// Notified when a group was added, and when the inbox is closed.
    changed: Notify,
    depth: watch::Sender<Depth>,
    reading: tokio::sync::Mutex<Reading>,
    drain_ended: CancellationToken,
}

/// State of the drain's reads from the file.
#[derive(Debug, Default)]
struct Reading {
    /// The reader, with the number (`epoch`) of its file.
    reader: Option<(u64, InboxReader)>,
    failing_since: Option<Instant>,
}

impl Backlog {
    pub(super) fn new(path: &Path, left_over: Option<Contents>) -> Self {
        let state = State::new(left_over);
        Self {
            path: path.to_owned(),
            depth: watch::Sender::new(state.depth()),
            state: Mutex::new(state),
            changed: Notify::new(),
            reading: tokio::sync::Mutex::default(),
            drain_ended: CancellationToken::new(),
        }
    }

    /// Returns a receiver of the backlog's depth.
    #[must_use]
    pub fn watch_depth(&self) -> watch::Receiver<Depth> {
        self.depth.subscribe()
    }

    /// Takes the oldest groups that are not taken: at least one, and more until a limit is
    /// reached. Waits if there is none. Returns `None` when the inbox is closed and all groups
    /// have been taken.
    pub async fn take(&self, limits: BatchLimits) -> Result<Option<Vec<Group>>, FileError> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (groups, spilled, closed) = self.lock().take(limits);
            if !groups.is_empty() {
                return Ok(Some(groups));
            }
            if spilled {
                let groups = self.take_from_file(limits).await?;
                if !groups.is_empty() {
                    return Ok(Some(groups));
                }
            } else if closed {
                return Ok(None);
            } else {
                changed.await;
            }
        }
    }

    /// Returns the number of deliveries that wait to be taken, or `usize::MAX` if some are only in
    /// the file.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        match state.spilled {
            Some(_) => usize::MAX,
            None => state.queue.iter().map(|(group, _)| group.deliveries.len()).sum(),
        }
    }

    /// Marks groups as stored in Postgres; the writer deletes them with its next commit.
    pub fn done(&self, groups: &[Group]) {
        let mut state = self.lock();
        for group in groups {
            state.remove(group.seq);
            state.stored += group.deliveries.len();
        }
        self.depth.send_replace(state.depth());
    }

    /// Returns the number of deliveries that were marked as stored since the start.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.lock().stored
    }

    async fn take_from_file(&self, limits: BatchLimits) -> Result<Vec<Group>, FileError> {
        // One reader at a time: the next one continues after this one.
        let mut reading = self.reading.lock().await;
        let epoch = self.lock().epoch;
        let mut groups = Vec::new();
        let outcome = self.read_groups(&mut reading, epoch, limits, &mut groups).await;
        let Err(error) = outcome else {
            reading.failing_since = None;
            return Ok(groups);
        };
        let since = *reading.failing_since.get_or_insert_with(Instant::now);
        if error.is_damage() || since.elapsed() >= READ_PATIENCE {
            self.suspect(epoch);
        }
        // No other call returns the groups already read: return them now. The next call opens a
        // new reader and meets the error again.
        if groups.is_empty() { Err(error) } else { Ok(groups) }
    }

    async fn read_groups(
        &self,
        reading: &mut Reading,
        epoch: u64,
        limits: BatchLimits,
        groups: &mut Vec<Group>,
    ) -> Result<(), FileError> {
        let mut reader = match reading.reader.take() {
            Some((of, reader)) if of == epoch => reader,
            _ => InboxReader::open(&self.path).await?,
        };
        let mut size = BatchSize::default();
        let spilled = self.lock().spilled(epoch);
        if let Some((mut from, last)) = spilled {
            let mut stored = pin!(reader.groups(from, last));
            while from <= last && !size.reaches(limits) && self.lock().epoch == epoch {
                let Some(stored) = stored.try_next().await? else {
                    self.read_up_to(epoch, last);
                    break;
                };
                from = stored.info.seq + 1;
                let group = self.read(epoch, &stored).await;
                size.add(group.deliveries.len(), stored.payload.len() as u64);
                groups.push(group);
            }
        }
        reading.reader = Some((epoch, reader));
        Ok(())
    }

    async fn read(&self, epoch: u64, stored: &StoredGroup) -> Group {
        let (arrivals, damaged) = decode_group(stored.payload.clone());
        self.lock().read(epoch, stored.info);
        self.read_up_to(epoch, stored.info.seq);
        if damaged.is_some() {
            let lost = stored.info.count.saturating_sub(arrivals.len());
            self.save_damaged(epoch, stored, lost).await;
        }
        let deliveries = arrivals.into_iter().map(|arrival| Arc::new(arrival.into())).collect();
        Group { seq: stored.info.seq, deliveries }
    }

    /// Records that the file has been read up to `seq`, and logs expected deliveries that were not
    /// in it: another process has deleted them.
    fn read_up_to(&self, epoch: u64, seq: i64) {
        let mut state = self.lock();
        let gone = state.read_up_to(epoch, seq);
        if gone > 0 {
            tracing::error!(lost = gone, "deliveries are missing from the inbox file");
            self.depth.send_replace(state.depth());
        }
    }

    /// Copies the bytes of a damaged group into a separate file. If that fails, keeps the group in
    /// the inbox: its bytes are all that is left of the damaged deliveries.
    async fn save_damaged(&self, epoch: u64, stored: &StoredGroup, lost: usize) {
        let kept =
            set_aside::write_group(&self.path, stored.info.seq, stored.payload.clone()).await;
        let stays = kept.is_err();
        let place = match kept {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("the inbox file (cannot copy them: {error})"),
        };
        tracing::error!(
            seq = stored.info.seq,
            lost,
            bytes = stored.payload.len(),
            "inbox group is damaged; its intact deliveries are stored, its bytes are in {place}"
        );
        let mut state = self.lock();
        if stays && state.epoch == epoch {
            state.remove(stored.info.seq);
            state.deletable.retain(|deletable| *deletable != stored.info.seq);
            self.depth.send_replace(state.depth());
        }
    }

    /// Asks the writer to set this file aside.
    fn suspect(&self, epoch: u64) {
        let mut state = self.lock();
        state.suspect |= state.epoch == epoch;
    }

    /// Returns true if the file cannot be read, even if it can be written.
    pub(super) fn is_suspect(&self) -> bool {
        self.lock().suspect
    }

    /// Adds a group that is on disk.
    pub(super) fn push(&self, info: GroupInfo, deliveries: Vec<Arc<Received>>) {
        let mut state = self.lock();
        state.last_seq = info.seq;
        if state.spilled.is_some() || state.queued_bytes + info.bytes > MEMORY_BYTES {
            state.spill(Contents::of(info));
        } else {
            state.add(info);
            state.queued_bytes += info.bytes;
            state.queue.push_back((Group { seq: info.seq, deliveries }, info.bytes));
        }
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// Adds groups that the reopened file has after the last known one. A commit with an unknown
    /// outcome may have reached the disk. Its deliveries are drained like any others; those that
    /// were written to Postgres meanwhile are duplicates.
    pub(super) fn adopt(&self, contents: Option<Contents>) {
        let mut state = self.lock();
        state.suspect = false;
        if let Some(contents) = contents {
            state.spill(contents);
        }
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// Starts with an empty file in place of a damaged one. Groups that were only in the damaged
    /// file come back by its recovery. Groups in memory stay.
    pub(super) fn start_over(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.suspect = false;
        state.spilled = None;
        // Their rows are in the other file.
        state.deletable.clear();
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// Returns the number of the last durable group.
    pub(super) fn last_seq(&self) -> i64 {
        self.lock().last_seq
    }

    /// Returns the number for the next group, of `count` deliveries.
    pub(super) fn next_seq(&self, count: usize) -> i64 {
        self.lock().last_seq + i64::try_from(count).unwrap_or(1)
    }

    /// Takes the numbers of drained groups, for the writer to delete.
    pub(super) fn take_deletable(&self) -> Vec<i64> {
        std::mem::take(&mut self.lock().deletable)
    }

    /// Returns numbers whose groups could not be deleted.
    pub(super) fn return_deletable(&self, deletable: Vec<i64>) {
        self.lock().deletable.extend(deletable);
    }

    /// Reports that the drain has stopped. Undrained groups stay in the file for the next start.
    pub fn end_drain(&self) {
        self.drain_ended.cancel();
    }

    /// Closes the reader, before the writer closes: the last connection writes the log back, which
    /// a read-only one cannot do.
    pub(super) async fn close_reader(&self) {
        if let Some((_, reader)) = self.reading.lock().await.reader.take() {
            reader.close().await;
        }
    }

    /// Waits until the drain has stopped.
    pub(super) async fn drain_ended(&self) {
        self.drain_ended.cancelled().await;
    }

    /// Closes the backlog: no group is added any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock can panic in the middle of a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
