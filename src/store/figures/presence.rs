//! Numbers of different sessions and agents, and of sessions at one instant.

use std::collections::{BTreeMap, HashMap};

use super::{Cells, Selection, Snapshot, place};
use crate::store::StoreError;

/// Different ones with at least one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distinct {
    /// Sessions.
    pub sessions: i64,
    /// Agents.
    pub agents: i64,
}

/// Largest numbers of sessions at one instant, by bucket and group.
pub type Concurrency = Cells<i64>;

impl Snapshot {
    /// Counts sessions and agents with joins, messages or ends.
    pub async fn distinct(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<Distinct>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.occurred_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 count(DISTINCT f.session_id) AS "sessions!",
                 count(DISTINCT f.agent_id) AS "agents!"
             FROM (
                 SELECT occurred_at, session_id, agent_id, source
                 FROM message_facts
                 WHERE occurred_at >= $2 AND occurred_at < $3
                 UNION ALL
                 SELECT occurred_at, session_id, agent_id, source
                 FROM presence_facts
                 WHERE occurred_at >= $2 AND occurred_at < $3
             ) AS f
             WHERE ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($7)
                 ))
             GROUP BY 1, 2"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let cells = rows.into_iter().map(|row| {
            let distinct = Distinct { sessions: row.sessions, agents: row.agents };
            ((place(row.bucket), row.split), distinct)
        });
        Ok(cells.collect())
    }

    /// Finds the largest number of sessions at one instant of each bucket. A session counts from its
    /// start to its last activity, both included.
    pub async fn concurrency(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Concurrency, StoreError> {
        let rows = sqlx::query!(
            r#"WITH chosen AS (
                 SELECT
                     CASE $7::text WHEN 'agent' THEN agent_id WHEN 'source' THEN source END AS split,
                     started_at,
                     last_activity_at
                 FROM session_facts
                 WHERE started_at < $2
                     AND last_activity_at >= $8
                     AND ($3::text[] IS NULL OR agent_id = ANY ($3))
                     AND ($4::text[] IS NULL OR agent_id = ANY ($4))
                     AND ($5::text[] IS NULL OR source = ANY ($5))
                     AND ($6::text[] IS NULL OR room_name = ANY ($6))
             ),
             steps AS (
                 SELECT split, started_at AS at, 1 AS step FROM chosen
                 UNION ALL
                 SELECT split, last_activity_at, -1 FROM chosen WHERE last_activity_at < $2
             ),
             levels AS (
                 SELECT
                     split,
                     at,
                     step,
                     sum(step) OVER (
                         PARTITION BY split ORDER BY at, step DESC ROWS UNBOUNDED PRECEDING
                     ) AS level
                 FROM steps
             )
             SELECT
                 width_bucket(at, $1::timestamptz[]) AS "bucket!",
                 split,
                 sum(step) AS "net!",
                 max(level) FILTER (WHERE step = 1) AS peak
             FROM levels
             GROUP BY 1, 2"#,
            selection.starts,
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            selection.from(),
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        let mut groups: HashMap<Option<String>, BTreeMap<usize, (i64, i64)>> = HashMap::new();
        for row in rows {
            // 0 is what began before the first bucket.
            let number = usize::try_from(row.bucket).unwrap_or_default();
            let bucket = (row.net, row.peak.unwrap_or(0));
            groups.entry(row.split).or_default().insert(number, bucket);
        }
        let mut cells = Concurrency::new();
        for (group, buckets) in groups {
            let mut open = buckets.get(&0).map_or(0, |(net, _)| *net);
            for bucket in 1..=selection.starts.len() {
                let (net, peak) = buckets.get(&bucket).copied().unwrap_or((0, 0));
                cells.insert((bucket - 1, group.clone()), open.max(peak));
                open += net;
            }
        }
        Ok(cells)
    }
}
