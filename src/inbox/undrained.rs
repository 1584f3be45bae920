//! The account of what is durable and not yet in Postgres: which groups, where, how much.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;

use super::group::{BatchLimits, Depth, Group, GroupInfo, Taken};

/// What is durable and not in Postgres, as the backlog knows it.
#[derive(Debug)]
pub(super) struct State {
    /// In memory, oldest first.
    pub(super) queue: VecDeque<(Group, u64)>,
    pub(super) queued_bytes: u64,
    /// From here on the groups are in the file alone.
    pub(super) spilled_from: Option<i64>,
    /// The newest group that is durable.
    pub(super) last_seq: i64,
    /// Every group that is not yet drained, in memory or not.
    pub(super) undrained: BTreeMap<i64, GroupInfo>,
    pub(super) total: Depth,
    /// Drained, and still in the file.
    pub(super) forget: Vec<i64>,
    /// Counts the files: a damaged one is set aside, and another takes its place.
    pub(super) epoch: u64,
    /// The file cannot be read, and should be set aside.
    pub(super) suspect: bool,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(left_over: Vec<GroupInfo>) -> Self {
        let mut state = Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            spilled_from: left_over.first().map(|group| group.seq),
            last_seq: left_over.last().map_or(0, |group| group.seq),
            undrained: BTreeMap::new(),
            total: Depth::default(),
            forget: Vec::new(),
            epoch: 0,
            suspect: false,
            closed: false,
        };
        for group in left_over {
            state.add(group);
        }
        state
    }

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
        Depth {
            oldest_at: self.undrained.first_key_value().map(|(_, group)| group.oldest_at),
            ..self.total
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
        (groups, self.spilled_from.is_some(), self.closed)
    }

    /// What is in the file alone: from the first to the last.
    pub(super) fn spilled(&self, epoch: u64) -> Option<(i64, i64)> {
        let from = self.spilled_from.filter(|_| self.epoch == epoch)?;
        Some((from, self.last_seq))
    }

    /// The file has been read up to `seq`; says how many deliveries the group should hold.
    pub(super) fn read_up_to(&mut self, epoch: u64, seq: i64) -> usize {
        if self.epoch == epoch {
            self.spilled_from = (seq < self.last_seq).then_some(seq + 1);
        }
        self.undrained.get(&seq).map_or(0, |info| info.count)
    }

    /// Takes these groups out of the account, and says how many deliveries they had.
    pub(super) fn drop_groups(&mut self, which: impl RangeBounds<i64>) -> usize {
        let before = self.total.deliveries;
        let gone: Vec<i64> = self.undrained.range(which).map(|(seq, _)| *seq).collect();
        for seq in gone {
            self.remove(seq);
        }
        before - self.total.deliveries
    }
}
