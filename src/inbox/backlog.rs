//! What is in the inbox and not yet in Postgres: in memory while the drain keeps up, in the file
//! beyond that.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::{FileError, InboxReader, StoredGroup};
use super::group::{BatchLimits, Contents, Depth, Group, GroupInfo, Taken};
use super::record::decode_group;
use super::salvage::aside;
use super::undrained::State;
use crate::decode::Received;

/// Bytes of groups, as they lie in the file, that wait in memory for the drain; beyond that it
/// reads them from the file. With what was read from them they take two to three times as much.
const MEMORY_BYTES: u64 = 32 << 20;
/// How long the file may fail to be read before it is taken for damaged. A disk that hiccups is
/// back by then; a bad sector would hold up all that lies behind it for ever.
const READ_PATIENCE: Duration = Duration::from_mins(1);

/// Groups that are durable and not yet drained.
#[derive(Debug)]
pub struct Backlog {
    path: PathBuf,
    state: Mutex<State>,
    /// A group came, or the inbox closed.
    changed: Notify,
    depth: watch::Sender<Depth>,
    reading: tokio::sync::Mutex<Reading>,
    drain_ended: CancellationToken,
}

/// The drain's way into the file.
#[derive(Debug, Default)]
struct Reading {
    /// With the number of the file that it reads.
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

    /// How far Postgres is behind, now and at every change.
    #[must_use]
    pub fn watch_depth(&self) -> watch::Receiver<Depth> {
        self.depth.subscribe()
    }

    /// Takes the oldest groups that nobody has taken: at least one, and more while they stay
    /// within the limits. Waits for one where there is none; `None` once the inbox is closed
    /// and everything has been taken.
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

    /// How many deliveries wait in memory for somebody to take them; without end where more are in
    /// the file.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let state = self.lock();
        match state.spilled {
            Some(_) => usize::MAX,
            None => state.queue.iter().map(|(group, _)| group.deliveries.len()).sum(),
        }
    }

    /// The groups are in Postgres; the writer forgets them with its next commit.
    pub fn done(&self, groups: &[Group]) {
        let mut state = self.lock();
        for group in groups {
            state.remove(group.seq);
        }
        self.depth.send_replace(state.depth());
    }

    async fn take_from_file(&self, limits: BatchLimits) -> Result<Vec<Group>, FileError> {
        // One reader at a time: the next one starts where this one stops.
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
        // What has been read is nobody else's to take any more: it goes first, and the next call
        // meets the error again, with a new reader.
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
        let mut taken = Taken::default();
        let spilled = self.lock().spilled(epoch);
        if let Some((mut from, last)) = spilled {
            let mut stored = pin!(reader.groups(from, last));
            while from <= last && !taken.is_enough(limits) && self.lock().epoch == epoch {
                let Some(stored) = stored.try_next().await? else {
                    self.read_up_to(epoch, last);
                    break;
                };
                from = stored.info.seq + 1;
                let group = self.read(epoch, &stored).await;
                taken.add(group.deliveries.len(), stored.payload.len() as u64);
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
            self.keep_damaged(epoch, stored, lost).await;
        }
        let deliveries = arrivals.into_iter().map(|arrival| Arc::new(arrival.into())).collect();
        Group { seq: stored.info.seq, deliveries }
    }

    /// The file holds no more up to that number. What should have been in it and was not has been
    /// taken out by somebody else.
    fn read_up_to(&self, epoch: u64, seq: i64) {
        let mut state = self.lock();
        let gone = state.read_up_to(epoch, seq);
        if gone > 0 {
            tracing::error!(lost = gone, "deliveries have vanished from the inbox's file");
            self.depth.send_replace(state.depth());
        }
    }

    /// What cannot be read of a group goes into a file of its own; where that cannot be written
    /// either, the group stays where it is, since its bytes are all that is left of what they held.
    async fn keep_damaged(&self, epoch: u64, stored: &StoredGroup, lost: usize) {
        let kept = aside::keep_group(&self.path, stored.info.seq, stored.payload.clone()).await;
        let stays = kept.is_err();
        let place = match kept {
            Ok(path) => path.display().to_string(),
            Err(error) => format!("the inbox itself, since they cannot be put aside: {error}"),
        };
        tracing::error!(
            seq = stored.info.seq,
            lost,
            bytes = stored.payload.len(),
            "a group of the inbox is damaged; its whole deliveries are stored, and its bytes are \
             kept in {place}"
        );
        let mut state = self.lock();
        if stays && state.epoch == epoch {
            state.remove(stored.info.seq);
            state.forget.retain(|forgotten| *forgotten != stored.info.seq);
            self.depth.send_replace(state.depth());
        }
    }

    /// The writer is to set this file aside.
    fn suspect(&self, epoch: u64) {
        let mut state = self.lock();
        state.suspect |= state.epoch == epoch;
    }

    /// The file cannot be read, though it may well be written.
    pub(super) fn is_suspect(&self) -> bool {
        self.lock().suspect
    }

    /// A group is on disk.
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

    /// The file has been opened anew, and holds these behind the last group that was known. A
    /// commit whose outcome was not known may have reached the disk after all; its deliveries are
    /// drained like any others, and where they went to Postgres meanwhile they meet themselves
    /// there.
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

    /// An empty file has taken the place of a damaged one, and what was in that alone comes again
    /// when it is salvaged. What is in memory goes on from there.
    pub(super) fn start_over(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.suspect = false;
        state.spilled = None;
        // Those were for the other file.
        state.forget.clear();
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// The number of the last group that is durable.
    pub(super) fn last_seq(&self) -> i64 {
        self.lock().last_seq
    }

    /// The number for the next group, which has so many deliveries.
    pub(super) fn next_seq(&self, count: usize) -> i64 {
        self.lock().last_seq + i64::try_from(count).unwrap_or(1)
    }

    /// What the writer may forget. What it does not manage to forget it gives back.
    pub(super) fn take_forgettable(&self) -> Vec<i64> {
        std::mem::take(&mut self.lock().forget)
    }

    pub(super) fn give_back(&self, forget: Vec<i64>) {
        self.lock().forget.extend(forget);
    }

    /// The drain has stopped: what is not done now stays in the file for the next start.
    pub fn end_drain(&self) {
        self.drain_ended.cancel();
    }

    /// The last connection to close tidies the file, and the reader's may not: it only reads.
    pub(super) async fn close_reader(&self) {
        if let Some((_, reader)) = self.reading.lock().await.reader.take() {
            reader.close().await;
        }
    }

    pub(super) async fn drain_ended(&self) {
        self.drain_ended.cancelled().await;
    }

    /// No group will come any more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code below can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
