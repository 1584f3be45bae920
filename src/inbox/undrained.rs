//! State of the backlog: the groups that are durable and not yet in Postgres.
//!
//! Groups in memory are listed one by one. Groups that are only in the file are known by their
//! sums, so the memory does not grow with the backlog.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use super::group::{BatchLimits, BatchSize, Contents, Depth, Group, GroupInfo};

/// Groups that are durable and not in Postgres.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Groups in memory that the drain has not taken, oldest first, with their bytes.
    pub(super) queue: VecDeque<(Group, u64)>,
    pub(super) queued_bytes: u64,
    /// Groups that are only in the file: all from some group to the last.
    pub(super) spilled: Option<Spilled>,
    /// Number of the newest durable group.
    pub(super) last_seq: i64,
    /// Every group in memory that is not yet drained: in the queue, or taken by the drain.
    undrained: BTreeMap<i64, GroupInfo>,
    /// Sums over `undrained`.
    total: Depth,
    /// Number of deliveries that the drain has stored since the start.
    pub(super) stored: usize,
    /// Numbers of drained groups that are still in the file.
    pub(super) deletable: Vec<i64>,
    /// Number of the file: it grows when a damaged one is replaced.
    pub(super) epoch: u64,
    /// The file cannot be read, and is to be set aside.
    pub(super) suspect: bool,
    pub(super) closed: bool,
}

/// Groups that are only in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spilled {
    /// Lower bound of their numbers.
    from: i64,
    deliveries: usize,
    bytes: u64,
    /// Arrival of the first of them, or of the last one before them.
    oldest_at: DateTime<Utc>,
}

impl State {
    pub(super) fn new(left_over: Option<Contents>) -> Self {
        let mut state = Self::default();
        if let Some(contents) = left_over {
            state.spill(contents);
        }
        state
    }

    /// Adds groups that are only in the file and follow all known ones.
    pub(super) fn spill(&mut self, contents: Contents) {
        let Contents { first, last, deliveries, bytes } = contents;
        let spilled = self.spilled.get_or_insert(Spilled {
            from: first.seq,
            deliveries: 0,
            bytes: 0,
            oldest_at: first.oldest_at,
        });
        spilled.deliveries += deliveries;
        spilled.bytes += bytes;
        self.last_seq = last;
    }

    /// Adds a group that is in memory.
    pub(super) fn add(&mut self, info: GroupInfo) {
        self.total.deliveries += info.count;
        self.total.bytes += info.bytes;
        self.undrained.insert(info.seq, info);
    }

    pub(super) fn remove(&mut self, seq: i64) {
        if let Some(info) = self.undrained.remove(&seq) {
            self.total.deliveries -= info.count;
            self.total.bytes -= info.bytes;
            self.deletable.push(seq);
        }
    }

    pub(super) fn depth(&self) -> Depth {
        let first = self.undrained.first_key_value().map(|(_, group)| group.oldest_at);
        let (deliveries, bytes) =
            self.spilled.map_or((0, 0), |spilled| (spilled.deliveries, spilled.bytes));
        Depth {
            deliveries: self.total.deliveries + deliveries,
            bytes: self.total.bytes + bytes,
            oldest_at: first.or(self.spilled.map(|spilled| spilled.oldest_at)),
        }
    }

    pub(super) fn take(&mut self, limits: BatchLimits) -> (Vec<Group>, bool, bool) {
        let mut groups = Vec::new();
        let mut size = BatchSize::default();
        while !size.reaches(limits)
            && let Some((group, bytes)) = self.queue.pop_front()
        {
            size.add(group.deliveries.len(), bytes);
            self.queued_bytes -= bytes;
            groups.push(group);
        }
        (groups, self.spilled.is_some(), self.closed)
    }

    /// Returns the first and the last number of the groups that are only in the file.
    pub(super) fn spilled(&self, epoch: u64) -> Option<(i64, i64)> {
        let spilled = self.spilled.filter(|_| self.epoch == epoch)?;
        Some((spilled.from, self.last_seq))
    }

    /// Moves a group that was read from the file to those in memory.
    pub(super) fn read(&mut self, epoch: u64, info: GroupInfo) {
        if self.epoch != epoch {
            return;
        }
        self.add(info);
        if let Some(spilled) = &mut self.spilled {
            spilled.deliveries = spilled.deliveries.saturating_sub(info.count);
            spilled.bytes = spilled.bytes.saturating_sub(info.bytes);
            spilled.oldest_at = info.oldest_at;
        }
    }

    /// Records that the file has been read up to `seq`. At the last group, returns the number of
    /// deliveries that were expected and not found.
    pub(super) fn read_up_to(&mut self, epoch: u64, seq: i64) -> usize {
        if self.epoch != epoch {
            return 0;
        }
        if seq >= self.last_seq {
            return self.spilled.take().map_or(0, |spilled| spilled.deliveries);
        }
        if let Some(spilled) = &mut self.spilled {
            spilled.from = seq + 1;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(seq: i64) -> GroupInfo {
        let oldest_at = DateTime::from_timestamp(seq, 0).unwrap();
        GroupInfo { seq, count: 1, bytes: 100, oldest_at }
    }

    /// Returns a state with a thousand groups in the file, of one delivery each.
    fn deep() -> State {
        State::new(Some(Contents {
            first: group(1),
            last: 1_000,
            deliveries: 1_000,
            bytes: 100_000,
        }))
    }

    #[test]
    fn groups_only_in_the_file_are_counted_and_not_listed() {
        let mut state = deep();
        state.spill(Contents::of(group(1_001)));
        assert_eq!(state.undrained.len(), 0);
        for seq in 1..=1_001 {
            assert_eq!(state.spilled(0), Some((seq, 1_001)));
            state.read(0, group(seq));
            assert_eq!(state.read_up_to(0, seq), 0, "no delivery is missing");
            assert_eq!(state.depth().deliveries, 1_002 - usize::try_from(seq).unwrap());
            state.remove(seq);
        }
        assert_eq!(state.depth(), Depth::default());
        assert_eq!(state.deletable.len(), 1_001);
    }

    #[test]
    fn oldest_is_the_first_undrained_group() {
        let mut state = deep();
        let oldest = |state: &State| state.depth().oldest_at.unwrap().timestamp();
        assert_eq!(oldest(&state), 1);
        for seq in 1..=2 {
            state.read(0, group(seq));
            state.read_up_to(0, seq);
        }
        assert_eq!(oldest(&state), 1);
        state.remove(1);
        assert_eq!(oldest(&state), 2);
    }

    #[test]
    fn missing_deliveries_are_reported_when_the_file_has_been_read() {
        let mut state = deep();
        state.read(0, group(1));
        assert_eq!(state.read_up_to(0, 400), 0, "others may follow");
        assert_eq!(state.read_up_to(0, 1_000), 999);
        assert_eq!((state.depth().deliveries, state.spilled(0)), (1, None));
    }

    #[test]
    fn groups_read_from_a_replaced_file_are_ignored() {
        let mut state = deep();
        state.epoch = 1;
        state.read(0, group(1));
        assert_eq!(state.read_up_to(0, 1_000), 0);
        assert_eq!(state.depth().deliveries, 1_000);
    }
}
