//! In-memory cache of the sessions of whole days. Most figures are of days that do not change any
//! more, and reading their sessions takes longer than computing figures from them.
//!
//! Every change of facts of a day's sessions sets a new version of the day, and an answer reads the
//! versions in its snapshot. So a cached day with that version is what the snapshot would read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;
use uuid::Uuid;

use super::session_columns::Sessions;

/// Most sessions in the cache: about 50 MB. A range with more is read from PostgreSQL.
pub(super) const MAX_CACHED: usize = 300_000;

/// Cache of days.
#[derive(Debug, Default)]
pub(super) struct DayCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    days: HashMap<NaiveDate, Day>,
    /// Number of the last use.
    uses: u64,
}

/// Cached day.
#[derive(Debug)]
struct Day {
    version: Uuid,
    sessions: Arc<Vec<Sessions>>,
    count: usize,
    last_use: u64,
}

impl DayCache {
    /// Returns a day's sessions if they are cached with this version.
    pub(super) fn get(&self, day: NaiveDate, version: Uuid) -> Option<Arc<Vec<Sessions>>> {
        let mut entries = self.lock();
        entries.uses += 1;
        let uses = entries.uses;
        let found = entries.days.get_mut(&day).filter(|found| found.version == version)?;
        found.last_use = uses;
        Some(Arc::clone(&found.sessions))
    }

    /// Caches a day's sessions, and evicts the least recently used days beyond the limit.
    pub(super) fn put(&self, day: NaiveDate, version: Uuid, sessions: &Arc<Vec<Sessions>>) {
        let count = sessions.iter().map(|some| some.started_at.len()).sum();
        let mut entries = self.lock();
        entries.uses += 1;
        let last_use = entries.uses;
        let sessions = Arc::clone(sessions);
        entries.days.insert(day, Day { version, sessions, count, last_use });
        let mut all: usize = entries.days.values().map(|day| day.count).sum();
        while all > MAX_CACHED {
            let oldest = entries.days.iter().min_by_key(|(_, day)| day.last_use);
            let Some(oldest) = oldest.map(|(day, _)| *day) else { break };
            all -= entries.days.remove(&oldest).map_or(0, |day| day.count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Safe after a panic: no holder can leave the entries half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn other_version_is_a_miss_and_least_recently_used_day_is_evicted() {
        let days = DayCache::default();
        let day = |number| NaiveDate::from_ymd_opt(2026, 10, number).unwrap();
        let some = |count| Arc::new(vec![Sessions::started(vec![DateTime::UNIX_EPOCH; count])]);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        days.put(day(1), one, &some(MAX_CACHED / 2));
        days.put(day(2), one, &some(MAX_CACHED / 2));
        assert!(days.get(day(1), one).is_some() && days.get(day(1), other).is_none());
        // The first day was used last.
        days.put(day(3), one, &some(1));
        assert!(days.get(day(1), one).is_some() && days.get(day(2), one).is_none());
        days.put(day(1), other, &some(1));
        assert!(days.get(day(1), one).is_none() && days.get(day(1), other).is_some());
    }
}
