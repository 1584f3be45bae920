//! In-memory cache of the sessions of whole days. Most figures are of days that do not change any
//! more, and reading their sessions takes longer than computing figures from them.
//!
//! Every change of facts of a day's sessions sets a new version of the day, and an answer reads the
//! versions in its snapshot. So a cached day with that version is what the snapshot would read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::sessions::{Columns, Sessions, Started};
use super::{Selection, Snapshot};
use crate::store::StoreError;

/// Most sessions in the cache: about 50 MB. A range with more is read from PostgreSQL.
const MAX_CACHED: usize = 300_000;

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

/// Sessions that started on whole days.
pub(super) struct WholeDays {
    /// Start of the first day.
    pub(super) from: DateTime<Utc>,
    /// End of the last day.
    pub(super) to: DateTime<Utc>,
    pub(super) sessions: Vec<Arc<Vec<Sessions>>>,
}

impl DayCache {
    /// Returns a day's sessions if they are cached with this version.
    fn get(&self, day: NaiveDate, version: Uuid) -> Option<Arc<Vec<Sessions>>> {
        let mut entries = self.lock();
        entries.uses += 1;
        let uses = entries.uses;
        let found = entries.days.get_mut(&day).filter(|found| found.version == version)?;
        found.last_use = uses;
        Some(Arc::clone(&found.sessions))
    }

    /// Caches a day's sessions, and evicts the least recently used days beyond the limit.
    fn put(&self, day: NaiveDate, version: Uuid, sessions: &Arc<Vec<Sessions>>) {
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

impl Snapshot {
    /// Returns the sessions of all agents that started on the whole days of a range. Returns `None`
    /// if there is no whole day, if there are too many sessions, or if rooms are selected, which
    /// are not cached.
    pub(super) async fn cached_days(
        &mut self,
        range: &Started,
        selection: &Selection<'_>,
    ) -> Result<Option<WholeDays>, StoreError> {
        let Some((first, end)) = whole_days(range).filter(|_| selection.rooms.is_none()) else {
            return Ok(None);
        };
        let days = sqlx::query!(
            r#"SELECT
                 d.day,
                 d.version,
                 (
                     SELECT COALESCE(sum(a.sessions), 0)::bigint
                     FROM activity AS a
                     WHERE a.level = 4
                         AND a.agent_id = ''
                         AND a.starts_at = d.day::timestamp AT TIME ZONE 'UTC'
                 ) AS "sessions!"
             FROM session_fact_days AS d
             WHERE d.day >= $1 AND d.day < $2
             ORDER BY d.day"#,
            first,
            end,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let count: i64 = days.iter().map(|day| day.sessions).sum();
        if usize::try_from(count).unwrap_or(usize::MAX) > MAX_CACHED {
            return Ok(None);
        }
        let mut sessions = Vec::with_capacity(days.len());
        for day in days {
            sessions.push(self.sessions_of_day(day.day, day.version).await?);
        }
        Ok(Some(WholeDays { from: midnight(first), to: midnight(end), sessions }))
    }

    /// Returns the sessions of all agents that started on a day, from the cache or the database.
    async fn sessions_of_day(
        &mut self,
        day: NaiveDate,
        version: Uuid,
    ) -> Result<Arc<Vec<Sessions>>, StoreError> {
        if let Some(cached) = self.days.get(day, version) {
            return Ok(cached);
        }
        let (from, to) = (midnight(day), day.checked_add_days(Days::new(1)).map(midnight));
        let started = Started { from, to: to.unwrap_or(from), lasting: false };
        let starts = [from];
        let all = Selection {
            starts: &starts,
            to: started.to,
            now: started.to,
            visible: None,
            agents: None,
            sources: None,
            rooms: None,
            split: None,
        };
        let sessions = Arc::new(self.read_sessions(&Columns::all(), &all, started).await?);
        self.days.put(day, version, &sessions);
        Ok(sessions)
    }
}

/// Returns the first whole day of a range, and the day after the last one.
fn whole_days(range: &Started) -> Option<(NaiveDate, NaiveDate)> {
    let day = range.from.date_naive();
    let first = if midnight(day) == range.from { day } else { day.checked_add_days(Days::new(1))? };
    let end = range.to.date_naive();
    (first < end).then_some((first, end))
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-10-{text}Z").parse().unwrap()
    }

    fn whole(from: &str, to: &str) -> Option<(u32, u32)> {
        use chrono::Datelike as _;
        let days = whole_days(&Started { from: at(from), to: at(to), lasting: false });
        days.map(|(first, end)| (first.day(), end.day()))
    }

    #[test]
    fn days_cut_by_a_range_are_not_whole() {
        assert_eq!(whole("01T00:00:00", "03T00:00:00"), Some((1, 3)));
        assert_eq!(whole("01T00:00:00.000001", "03T23:59:59"), Some((2, 3)));
        assert_eq!(whole("01T00:00:01", "03T00:00:00"), Some((2, 3)));
        assert_eq!(whole("01T00:00:01", "02T23:59:59"), None);
        assert_eq!(whole("01T10:00:00", "01T11:00:00"), None);
    }

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
