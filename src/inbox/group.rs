//! Groups: deliveries that are made durable by one commit, and are drained together.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::decode::Received;

/// Deliveries in the inbox that are not in Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Number of deliveries.
    pub deliveries: usize,
    /// Their bytes in the file.
    pub bytes: u64,
    /// Arrival of the oldest.
    pub oldest_at: Option<DateTime<Utc>>,
}

/// Deliveries that were made durable by one commit.
#[derive(Debug)]
pub struct Group {
    /// Number of the group, the key of its row.
    pub seq: i64,
    /// The deliveries.
    pub deliveries: Vec<Arc<Received>>,
}

/// Limits of a batch of the drain. Only the last group of a batch may exceed them.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Deliveries.
    pub deliveries: usize,
    /// Bytes in the file.
    pub bytes: u64,
}

#[derive(Default)]
pub(super) struct BatchSize {
    deliveries: usize,
    bytes: u64,
}

impl BatchSize {
    pub(super) fn add(&mut self, deliveries: usize, bytes: u64) {
        self.deliveries += deliveries;
        self.bytes += bytes;
    }

    pub(super) fn reaches(&self, limits: BatchLimits) -> bool {
        self.deliveries >= limits.deliveries || self.bytes >= limits.bytes
    }
}

/// A group's numbers, without its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupInfo {
    /// The running number of its last delivery. It grows by the count of each group, so a gap is
    /// the number of missing deliveries.
    pub(super) seq: i64,
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) oldest_at: DateTime<Utc>,
}

/// Sums over the groups of a file or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) first: GroupInfo,
    /// The number of the last group.
    pub(super) last: i64,
    pub(super) deliveries: usize,
    pub(super) bytes: u64,
}

impl Contents {
    /// Returns the sums of a single group.
    pub(super) fn of(group: GroupInfo) -> Self {
        Self { first: group, last: group.seq, deliveries: group.count, bytes: group.bytes }
    }
}
