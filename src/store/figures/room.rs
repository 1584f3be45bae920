//! Limit of concurrent snapshots.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::day_cache::DayCache;

/// Concurrent snapshots of all callers. A query over months keeps a processor busy, and other
/// readers need the pool.
const MAX_SNAPSHOTS: usize = 4;

/// Limit of concurrent snapshots, and their shared cache of days. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::store) struct Room {
    pub(super) permits: Arc<Semaphore>,
    pub(super) days: Arc<DayCache>,
}

impl Default for Room {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_SNAPSHOTS)), days: Arc::default() }
    }
}
