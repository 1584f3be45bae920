//! The account of what is durable and not yet in Postgres: which groups, where, how much.
//!
//! What is in memory is known group by group. What is in the file alone is known by its sums, so
//! that a backlog takes no more memory the deeper it is.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};

use super::group::{BatchLimits, Contents, Depth, Group, GroupInfo, Taken};

/// What is durable and not in Postgres, as the backlog knows it.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In memory, oldest first.
    pub(super) queue: VecDeque<(Group, u64)>,
    pub(super) queued_bytes: u64,
    /// What is in the file alone: all from some group to the last.
    pub(super) spilled: Option<Spilled>,
    /// The newest group that is durable.
    pub(super) last_seq: i64,
    /// Every group that is in memory and not yet drained: in the queue, or in the drain's hands.
    undrained: BTreeMap<i64, GroupInfo>,
    /// Their sums.
    total: Depth,
    /// Drained, and still in the file.
    pub(super) forget: Vec<i64>,
    /// Counts the files: a damaged one is set aside, and another takes its place.
    pub(super) epoch: u64,
    /// The file cannot be read, and should be set aside.
    pub(super) suspect: bool,
    pub(super) closed: bool,
}

/// Groups that are in the file alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spilled {
    /// None before this number is one of them.
    from: i64,
    deliveries: usize,
    bytes: u64,
    /// When the first of them arrived, or the last one before them.
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

    /// These are in the file alone, behind all that is known.
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

    /// This one is in memory.
    pub(super) fn add(&mut self, info: GroupInfo) {
        self.total.deliveries += info.count;
        self.total.bytes += info.bytes;
        self.undrained.insert(info.seq, info);
    }

    pub(super) fn remove(&mut self, seq: i64) {
        if let Some(info) = self.undrained.remove(&seq) {
            self.total.deliveries -= info.count;
            self.total.bytes -= info.bytes;
            self.forget.push(seq);
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
        let mut taken = Taken::default();
        while !taken.is_enough(limits)
            && let Some((group, bytes)) = self.queue.pop_front()
        {
            taken.add(group.deliveries.len(), bytes);
            self.queued_bytes -= bytes;
            groups.push(group);
        }
        (groups, self.spilled.is_some(), self.closed)
    }

    /// What is in the file alone: from the first to the last.
    pub(super) fn spilled(&self, epoch: u64) -> Option<(i64, i64)> {
        let spilled = self.spilled.filter(|_| self.epoch == epoch)?;
        Some((spilled.from, self.last_seq))
    }

    /// A group has been read from the file, and is in memory now.
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

    /// The file has been read up to `seq`. Once that is the last, gives the deliveries that should
    /// have been there and were not.
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

    /// A thousand groups in the file, with one delivery each.
    fn deep() -> State {
        State::new(Some(Contents {
            first: group(1),
            last: 1_000,
            deliveries: 1_000,
            bytes: 100_000,
        }))
    }

    #[test]
    fn what_is_in_the_file_alone_is_counted_and_not_listed() {
        let mut state = deep();
        state.spill(Contents::of(group(1_001)));
        assert_eq!(state.undrained.len(), 0);
        for seq in 1..=1_001 {
            assert_eq!(state.spilled(0), Some((seq, 1_001)));
            state.read(0, group(seq));
            assert_eq!(state.read_up_to(0, seq), 0, "nothing is missed");
            assert_eq!(state.depth().deliveries, 1_002 - usize::try_from(seq).unwrap());
            state.remove(seq);
        }
        assert_eq!(state.depth(), Depth::default());
        assert_eq!(state.forget.len(), 1_001);
    }

    #[test]
    fn the_oldest_is_the_first_that_is_not_drained() {
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
    fn what_is_gone_from_the_file_is_missed_once_it_has_been_read() {
        let mut state = deep();
        state.read(0, group(1));
        assert_eq!(state.read_up_to(0, 400), 0, "others may be behind it");
        assert_eq!(state.read_up_to(0, 1_000), 999);
        assert_eq!((state.depth().deliveries, state.spilled(0)), (1, None));
    }

    #[test]
    fn what_was_read_of_a_file_that_has_been_set_aside_counts_for_nothing() {
        let mut state = deep();
        state.epoch = 1;
        state.read(0, group(1));
        assert_eq!(state.read_up_to(0, 1_000), 0);
        assert_eq!(state.depth().deliveries, 1_000);
    }
}
