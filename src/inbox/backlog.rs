//! What is in the inbox and not yet in Postgres: in memory while the drain keeps up, in the file
//! beyond that.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::file::{FileError, InboxReader};
use super::record::decode_group;
use crate::decode::Received;

/// Bytes of groups, as they lie in the file, that wait in memory for the drain; beyond that it
/// reads them from the file. With what was read from them they take two to three times as much.
const MEMORY_BYTES: u64 = 32 << 20;

/// Groups that are durable and not yet drained.
#[derive(Debug)]
pub struct Backlog {
    path: PathBuf,
    state: Mutex<State>,
    /// A group came, or the inbox closed.
    changed: Notify,
    depth: watch::Sender<Depth>,
    reader: tokio::sync::Mutex<Option<InboxReader>>,
    drain_ended: CancellationToken,
}

/// How far Postgres is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Deliveries that are not yet in Postgres.
    pub deliveries: usize,
    /// The room that they take in the file.
    pub bytes: u64,
    /// When the oldest of them arrived.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Deliveries that were made durable together, and are drained together.
#[derive(Debug)]
pub struct Group {
    /// Its place in the file.
    pub seq: i64,
    /// The deliveries.
    pub deliveries: Vec<Received>,
}

/// How much the drain takes at once. A batch goes over a limit by its last group at the most.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Deliveries.
    pub deliveries: usize,
    /// Bytes in the file.
    pub bytes: u64,
}

#[derive(Default)]
struct Taken {
    deliveries: usize,
    bytes: u64,
}

impl Taken {
    fn add(&mut self, deliveries: usize, bytes: u64) {
        self.deliveries += deliveries;
        self.bytes += bytes;
    }

    fn is_enough(&self, limits: BatchLimits) -> bool {
        self.deliveries >= limits.deliveries || self.bytes >= limits.bytes
    }
}

/// What is known of a group without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupInfo {
    pub(super) seq: i64,
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) oldest_at: DateTime<Utc>,
}

#[derive(Debug)]
struct State {
    /// In memory, oldest first.
    queue: VecDeque<(Group, u64)>,
    queued_bytes: u64,
    /// From here on the groups are in the file alone.
    spilled_from: Option<i64>,
    /// The newest group that is durable.
    last_seq: i64,
    /// Every group that is not yet drained, in memory or not.
    undrained: BTreeMap<i64, GroupInfo>,
    total: Depth,
    /// Drained, and still in the file.
    forget: Vec<i64>,
    closed: bool,
}

impl Backlog {
    pub(super) fn new(path: &Path, left_over: Vec<GroupInfo>) -> Self {
        let mut state = State {
            queue: VecDeque::new(),
            queued_bytes: 0,
            spilled_from: left_over.first().map(|group| group.seq),
            last_seq: left_over.last().map_or(0, |group| group.seq),
            undrained: BTreeMap::new(),
            total: Depth::default(),
            forget: Vec::new(),
            closed: false,
        };
        for group in left_over {
            state.add(group);
        }
        Self {
            path: path.to_owned(),
            depth: watch::Sender::new(state.depth()),
            state: Mutex::new(state),
            changed: Notify::new(),
            reader: tokio::sync::Mutex::new(None),
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
        match state.spilled_from {
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
        let mut slot = self.reader.lock().await;
        let mut reader = match slot.take() {
            Some(reader) => reader,
            None => InboxReader::open(&self.path).await?,
        };
        let mut groups = Vec::new();
        let mut taken = Taken::default();
        while !taken.is_enough(limits)
            && let Some((from, last)) = self.spilled()
        {
            let stored = match reader.next(from, last).await {
                Ok(Some(stored)) => stored,
                Ok(None) => {
                    self.missing(from, last);
                    break;
                }
                // What has been read is nobody else's to take any more: it goes first, and the
                // next call meets the error again, with a new reader.
                Err(_) if !groups.is_empty() => return Ok(groups),
                Err(error) => return Err(error),
            };
            let bytes = stored.payload.len() as u64;
            let (arrivals, damaged) = decode_group(stored.payload);
            let expected = self.lock().read_up_to(stored.seq);
            if let Some(damaged) = damaged {
                tracing::error!(
                    seq = stored.seq,
                    bytes = damaged.bytes,
                    lost = expected.saturating_sub(arrivals.len()),
                    "a group of the inbox is damaged; it stays in the file, and its whole \
                     deliveries are stored"
                );
                self.keep_damaged(stored.seq);
            }
            taken.add(arrivals.len(), bytes);
            let deliveries = arrivals.into_iter().map(Received::from).collect();
            groups.push(Group { seq: stored.seq, deliveries });
        }
        *slot = Some(reader);
        Ok(groups)
    }

    fn spilled(&self) -> Option<(i64, i64)> {
        let state = self.lock();
        state.spilled_from.map(|from| (from, state.last_seq))
    }

    /// Groups that were durable are no longer in the file: somebody else wrote to it.
    fn missing(&self, from: i64, last: i64) {
        let mut state = self.lock();
        state.read_up_to(last);
        let gone: Vec<i64> = state.undrained.range(from..=last).map(|(seq, _)| *seq).collect();
        for seq in &gone {
            state.remove(*seq);
        }
        if !gone.is_empty() {
            tracing::error!(groups = gone.len(), "groups have vanished from the inbox's file");
        }
        self.depth.send_replace(state.depth());
    }

    /// A damaged group is not drained away: its bytes are all that is left of what they held.
    fn keep_damaged(&self, seq: i64) {
        let mut state = self.lock();
        state.remove(seq);
        state.forget.retain(|forgotten| *forgotten != seq);
        self.depth.send_replace(state.depth());
    }

    /// A group is on disk.
    pub(super) fn push(&self, info: GroupInfo, deliveries: Vec<Received>) {
        let mut state = self.lock();
        state.last_seq = info.seq;
        state.add(info);
        if state.spilled_from.is_none() && state.queued_bytes + info.bytes > MEMORY_BYTES {
            state.spilled_from = Some(info.seq);
        }
        if state.spilled_from.is_none() {
            state.queued_bytes += info.bytes;
            state.queue.push_back((Group { seq: info.seq, deliveries }, info.bytes));
        }
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// The file has been opened anew, and holds these. A commit whose outcome was not known may
    /// have reached the disk after all; its deliveries are drained like any others, and where they
    /// went to Postgres meanwhile they meet themselves there.
    pub(super) fn adopt(&self, contents: Vec<GroupInfo>) {
        let mut state = self.lock();
        let last = state.last_seq;
        for group in contents.into_iter().filter(|group| group.seq > last) {
            state.last_seq = group.seq;
            state.spilled_from.get_or_insert(group.seq);
            state.add(group);
        }
        self.depth.send_replace(state.depth());
        drop(state);
        self.changed.notify_one();
    }

    /// The number for the next group.
    pub(super) fn next_seq(&self) -> i64 {
        self.lock().last_seq + 1
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
        if let Some(reader) = self.reader.lock().await.take() {
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

impl State {
    fn add(&mut self, info: GroupInfo) {
        self.total.deliveries += info.count;
        self.total.bytes += info.bytes;
        self.undrained.insert(info.seq, info);
    }

    fn remove(&mut self, seq: i64) {
        if let Some(info) = self.undrained.remove(&seq) {
            self.total.deliveries -= info.count;
            self.total.bytes -= info.bytes;
            self.forget.push(seq);
        }
    }

    fn depth(&self) -> Depth {
        Depth {
            oldest_at: self.undrained.first_key_value().map(|(_, group)| group.oldest_at),
            ..self.total
        }
    }

    fn take(&mut self, limits: BatchLimits) -> (Vec<Group>, bool, bool) {
        let mut groups = Vec::new();
        let mut taken = Taken::default();
        while !taken.is_enough(limits)
            && let Some((group, bytes)) = self.queue.pop_front()
        {
            taken.add(group.deliveries.len(), bytes);
            self.queued_bytes -= bytes;
            groups.push(group);
        }
        (groups, self.spilled_from.is_some(), self.closed)
    }

    /// The file has been read up to `seq`; says how many deliveries the group should hold.
    fn read_up_to(&mut self, seq: i64) -> usize {
        self.spilled_from = (seq < self.last_seq).then_some(seq + 1);
        self.undrained.get(&seq).map_or(0, |info| info.count)
    }
}
