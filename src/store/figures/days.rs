//! Sessions of whole days, from the cache or from the database.

use std::sync::Arc;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::day_cache::MAX_CACHED;
use super::session_columns::Sessions;
use super::session_rows::{Columns, Started};
use super::{Selection, Snapshot};
use crate::store::StoreError;

/// Sessions that started on whole days.
pub(super) struct WholeDays {
    /// Start of the first day.
    pub(super) from: DateTime<Utc>,
    /// End of the last day.
    pub(super) to: DateTime<Utc>,
    pub(super) sessions: Vec<Arc<Vec<Sessions>>>,
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
}
