//! Distributions: counts of values between edges.

use super::metrics::value_of;
use super::{Cells, Selection, Snapshot, Wanted};
use crate::analytics::catalog::{Metric, Stat};
use crate::store::StoreError;

impl Snapshot {
    /// Counts values by bin and group, over all buckets of the selection. A cell's index is the
    /// number of edges that its values reach: 0 below the first edge. Edges must be ascending and
    /// in the unit of the stored value. Returns no cells for a metric that is not a spread.
    pub async fn distribution(
        &mut self,
        metric: &'static Metric,
        edges: &[f64],
        selection: &Selection<'_>,
    ) -> Result<Cells<i64>, StoreError> {
        let Some(value) = value_of(metric) else { return Ok(Cells::new()) };
        let wanted = Wanted { metric, stat: Stat::Count };
        self.check_cost(selection, &[wanted], false).await?;
        match value.of_session() {
            Some(name) => self.distribution_of_sessions(name, edges, selection).await,
            None => self.distribution_of_messages(edges, selection).await,
        }
    }

    async fn distribution_of_sessions(
        &mut self,
        value: &str,
        edges: &[f64],
        selection: &Selection<'_>,
    ) -> Result<Cells<i64>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(v.value::double precision, $1::double precision[]) AS "bin!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 count(*) AS "count!"
             FROM session_facts AS f
             CROSS JOIN LATERAL (SELECT session_value(f, $9) AS value) AS v
             WHERE f.started_at >= $2
                 AND f.started_at < $3
                 AND v.value IS NOT NULL
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.room_name = ANY ($7))
             GROUP BY 1, 2"#,
            edges,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            value,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(rows.into_iter().map(|row| ((bin(row.bin), row.split), row.count)).collect())
    }

    async fn distribution_of_messages(
        &mut self,
        edges: &[f64],
        selection: &Selection<'_>,
    ) -> Result<Cells<i64>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.silence_us::double precision, $1::double precision[]) AS "bin!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 count(*) AS "count!"
             FROM message_facts AS f
             WHERE f.is_reply
                 AND f.occurred_at >= $2
                 AND f.occurred_at < $3
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($7)
                 ))
             GROUP BY 1, 2"#,
            edges,
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
        Ok(rows.into_iter().map(|row| ((bin(row.bin), row.split), row.count)).collect())
    }
}

/// Converts the number of a bin, which is never negative.
fn bin(number: i32) -> usize {
    usize::try_from(number).unwrap_or_default()
}
