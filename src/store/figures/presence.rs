//! Distinct counts of sessions and agents, and numbers of concurrent sessions.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::sessions::Found;
use super::{Cells, Selection, Snapshot};
use crate::store::StoreError;

/// Numbers of distinct sessions and agents with at least one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Sessions.
    pub sessions: i64,
    /// Agents.
    pub agents: i64,
}

/// Numbers of sessions by group, agent and bucket.
type Present<'a> = HashMap<(Option<&'a str>, &'a str, usize), i64>;

impl Snapshot {
    /// Counts sessions and agents with joins, messages or ends. A session has events in the buckets
    /// of its first and its last event; only the buckets between these are read from the database.
    pub(super) async fn distinct(
        &mut self,
        sessions: &Found,
        selection: &Selection<'_>,
    ) -> Result<Cells<Distinct>, StoreError> {
        let mut present = Present::default();
        let mut between = HashMap::new();
        for some in sessions.of(selection) {
            let (group, agent_id) = (some.group(selection), some.agent_id.as_str());
            // Few buckets and many sessions: this hashes strings once for each bucket.
            let mut by_bucket: HashMap<usize, i64> = HashMap::new();
            let events = some.first_event_at.iter().zip(&some.last_event_at).zip(&some.ids);
            for ((first, last), id) in events {
                let Some((first, last)) = first.zip(*last) else { continue };
                let begun = Edge::of(first, selection);
                let ended = Edge::of(last, selection);
                for edge in [Some(begun), Some(ended).filter(|_| ended != begun)] {
                    if let Some(Edge::Within(bucket)) = edge {
                        *by_bucket.entry(bucket).or_default() += 1;
                    }
                }
                if begun.number(selection) + 1 < ended.number(selection) {
                    between.insert(*id, (group, agent_id, begun, ended));
                }
            }
            for (bucket, sessions) in by_bucket {
                *present.entry((group, agent_id, bucket)).or_default() += sessions;
            }
        }
        let ids: Vec<Uuid> = between.keys().copied().collect();
        for (id, bucket) in self.buckets_with_events(&ids, selection).await? {
            if let Some((group, agent_id, begun, ended)) = between.get(&id)
                && Edge::Within(bucket) != *begun
                && Edge::Within(bucket) != *ended
            {
                *present.entry((*group, *agent_id, bucket)).or_default() += 1;
            }
        }
        let mut cells = Cells::<Distinct>::new();
        for ((group, _, bucket), sessions) in present {
            let cell = cells.entry((bucket, group.map(str::to_owned))).or_default();
            cell.sessions += sessions;
            cell.agents += 1;
        }
        Ok(cells)
    }

    /// Returns the buckets in which sessions have events.
    async fn buckets_with_events(
        &mut self,
        ids: &[Uuid],
        selection: &Selection<'_>,
    ) -> Result<HashSet<(Uuid, usize)>, StoreError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let rows = sqlx::query!(
            r#"SELECT DISTINCT
                 e.session_id AS "session_id!",
                 width_bucket(e.occurred_at, $1::timestamptz[]) AS "bucket!"
             FROM (
                 SELECT session_id, occurred_at FROM message_facts
                 UNION ALL
                 SELECT session_id, occurred_at FROM presence_facts
             ) AS e
             WHERE e.session_id = ANY ($4)
                 AND e.occurred_at >= $2
                 AND e.occurred_at < $3"#,
            selection.starts,
            selection.from(),
            selection.to,
            ids,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(rows.into_iter().map(|row| (row.session_id, super::place(row.bucket))).collect())
    }
}

/// Position of a time relative to the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Before,
    Within(usize),
    After,
}

impl Edge {
    fn of(at: DateTime<Utc>, selection: &Selection<'_>) -> Self {
        match selection.bucket(at) {
            Some(bucket) => Self::Within(bucket),
            None if at < selection.from() => Self::Before,
            None => Self::After,
        }
    }

    /// Returns the number of the bucket, from 1; 0 is before all buckets.
    fn number(self, selection: &Selection<'_>) -> usize {
        match self {
            Self::Before => 0,
            Self::Within(bucket) => bucket + 1,
            Self::After => selection.starts.len() + 1,
        }
    }
}

/// Returns the largest number of concurrent sessions in each bucket. A session counts from its
/// start to its last activity, inclusive.
pub(super) fn concurrency(sessions: &Found, selection: &Selection<'_>) -> Cells<i64> {
    let mut groups: HashMap<Option<&str>, (Vec<_>, Vec<_>)> = HashMap::new();
    for some in sessions.of(selection) {
        let (starts, ends) = groups.entry(some.group(selection)).or_default();
        for (started_at, last_activity_at) in some.started_at.iter().zip(&some.last_activity_at) {
            if *last_activity_at >= selection.from() && *started_at < selection.to {
                starts.push(*started_at);
                ends.push(*last_activity_at);
            }
        }
    }
    let mut cells = Cells::new();
    for (group, (mut starts, mut ends)) in groups {
        starts.sort_unstable();
        ends.sort_unstable();
        let peaks = peaks(&starts, &ends, selection);
        let peaks = peaks.into_iter().enumerate();
        cells.extend(peaks.map(|(bucket, peak)| ((bucket, group.map(str::to_owned)), peak)));
    }
    cells
}

/// Returns the largest number of concurrent intervals in each bucket, from sorted starts and ends.
fn peaks(starts: &[DateTime<Utc>], ends: &[DateTime<Utc>], selection: &Selection<'_>) -> Vec<i64> {
    let (mut starts, mut ends) = (starts.iter().peekable(), ends.iter().peekable());
    let mut open = 0;
    let bucket_ends = selection.starts.iter().skip(1).chain([&selection.to]);
    let buckets = selection.starts.iter().zip(bucket_ends);
    let mut peaks = Vec::with_capacity(selection.starts.len());
    for (bucket_start, bucket_end) in buckets {
        while starts.next_if(|at| *at < bucket_start).is_some() {
            open += 1;
        }
        while ends.next_if(|at| *at < bucket_start).is_some() {
            open -= 1;
        }
        let mut peak = open;
        while let Some(start) = starts.next_if(|at| *at < bucket_end) {
            while ends.next_if(|at| *at < start).is_some() {
                open -= 1;
            }
            open += 1;
            peak = peak.max(open);
        }
        peaks.push(peak);
    }
    peaks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(minute * 60, 0).unwrap()
    }

    #[test]
    fn session_that_ends_as_another_starts_is_concurrent() {
        let buckets = [at(0), at(10), at(20), at(30)];
        let selection = Selection {
            starts: &buckets,
            to: at(40),
            now: at(40),
            visible: None,
            agents: None,
            sources: None,
            rooms: None,
            split: None,
        };
        // -5 to 5, 5 to 12, 6 to 25, and 20 to 20.
        let starts = [at(-5), at(5), at(6), at(20)];
        let ends = [at(5), at(12), at(20), at(25)];
        assert_eq!(peaks(&starts, &ends, &selection), [2, 2, 2, 0]);
        assert_eq!(peaks(&[], &[], &selection), [0; 4]);
        assert_eq!(Edge::of(at(-1), &selection).number(&selection), 0);
        assert_eq!(Edge::of(at(39), &selection).number(&selection), 4);
        assert_eq!(Edge::of(at(40), &selection).number(&selection), 5);
    }
}
