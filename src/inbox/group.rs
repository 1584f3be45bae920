//! What a group is: deliveries that were made durable together, and are drained together.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::decode::Received;

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
    pub deliveries: Vec<Arc<Received>>,
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
pub(super) struct Taken {
    deliveries: usize,
    bytes: u64,
}

impl Taken {
    pub(super) fn add(&mut self, deliveries: usize, bytes: u64) {
        self.deliveries += deliveries;
        self.bytes += bytes;
    }

    pub(super) fn is_enough(&self, limits: BatchLimits) -> bool {
        self.deliveries >= limits.deliveries || self.bytes >= limits.bytes
    }
}

/// What is known of a group without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupInfo {
    /// The running number of its last delivery: from one group to the next it grows by the next
    /// one's count, so that a hole tells how many deliveries are missing.
    pub(super) seq: i64,
    pub(super) count: usize,
    pub(super) bytes: u64,
    pub(super) oldest_at: DateTime<Utc>,
}

/// What lies in a file, or in a part of it, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) first: GroupInfo,
    /// The number of the last group.
    pub(super) last: i64,
    pub(super) deliveries: usize,
    pub(super) bytes: u64,
}

impl Contents {
    /// One group alone.
    pub(super) fn of(group: GroupInfo) -> Self {
        Self { first: group, last: group.seq, deliveries: group.count, bytes: group.bytes }
    }
}
