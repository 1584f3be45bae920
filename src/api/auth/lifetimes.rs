//! Lifetimes of cached keys and browser sessions.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use moka::sync::Cache;

use crate::store::keys::KeyHash;

/// Lifetime of a cached key: a key that another service revoked is accepted for that long.
pub(crate) const CACHED_FOR: Duration = Duration::from_secs(5);
/// Lifetime of a cached key while the database does not answer, so that an outage can be watched with
/// the key for metrics. All other routes need the database anyway.
pub(crate) const CACHED_IN_AN_OUTAGE: Duration = Duration::from_hours(1);
/// Most cached keys.
const MAX_KEYS: u64 = 10_000;
/// Precision of a key's last use: a write for each read would cost more than the read.
pub(crate) const USE_PRECISION: TimeDelta = TimeDelta::minutes(1);

/// Makes a cache whose entries live for `lifetime`.
pub(crate) fn cache<T: Send + Sync + 'static>(lifetime: Duration) -> Cache<KeyHash, Arc<T>> {
    Cache::builder().max_capacity(MAX_KEYS).time_to_live(lifetime).build()
}
