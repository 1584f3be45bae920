//! Spread of reply gaps, from counts by bin.

use std::collections::{BTreeMap, HashMap};

use super::rolled::Rolled;
use super::{Cell, Cells, MessageCounts, Selection, Snapshot, Spread, place};
use crate::analytics::bins::{middle, percentile};
use crate::store::StoreError;

/// Number of gaps by bin, and by bucket and group.
type BinsOf = HashMap<Cell, BTreeMap<i32, i64>>;

impl Snapshot {
    /// Reads the spread of reply gaps: count and sum are exact, percentiles and maximum are read from
    /// bins.
    pub(super) async fn spread_of_replies(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<Spread>, StoreError> {
        let rolled = Rolled::of(selection);
        let mut bins = self.rolled_gaps(selection, &rolled).await?;
        self.add_gaps_of_facts(selection, &rolled, &mut bins).await?;
        let counts = self.message_counts(selection).await?;
        let spread = |(cell, counts): (Cell, MessageCounts)| {
            let bins: Vec<(i32, i64)> =
                bins.get(&cell)?.iter().map(|(bin, n)| (*bin, *n)).collect();
            let at = |fraction| percentile(&bins, fraction);
            #[expect(clippy::cast_possible_truncation, reason = "a length of time")]
            let max = middle(bins.last()?.0) as i64;
            let percentiles = [at(0.5)?, at(0.9)?, at(0.99)?];
            let (count, sum) = (counts.replies, counts.reply_gap_us);
            Some((cell, Spread { count, sum, percentiles, max }))
        };
        Ok(counts.into_iter().filter_map(spread).collect())
    }

    /// Counts by bin of the rows that lie in the range as a whole.
    async fn rolled_gaps(
        &mut self,
        selection: &Selection<'_>,
        rolled: &Rolled,
    ) -> Result<BinsOf, StoreError> {
        let mut all = BinsOf::new();
        if rolled.from == rolled.to {
            return Ok(all);
        }
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(starts_at, $1::timestamptz[]) AS "bucket!",
                 CASE $2::text WHEN 'agent' THEN agent_id WHEN 'source' THEN source END AS split,
                 bins,
                 counts
             FROM reply_gaps
             WHERE level = $3
                 AND starts_at >= $4
                 AND starts_at < $5
                 AND ($6::text[] IS NULL OR agent_id = ANY ($6))
                 AND ($7::text[] IS NULL OR source = ANY ($7))"#,
            selection.starts,
            selection.split(),
            rolled.level,
            rolled.from,
            rolled.to,
            rolled.agents.as_deref() as _,
            selection.sources as _,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        for row in rows {
            let bins = all.entry((place(row.bucket), row.split)).or_default();
            for (bin, count) in row.bins.into_iter().zip(row.counts) {
                *bins.entry(bin).or_default() += i64::from(count);
            }
        }
        Ok(all)
    }

    /// Adds the counts of what the range cuts off rows, or of all of it where rows do not fit.
    async fn add_gaps_of_facts(
        &mut self,
        selection: &Selection<'_>,
        rolled: &Rolled,
        all: &mut BinsOf,
    ) -> Result<(), StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.occurred_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 reply_gap_bin(f.silence_us) AS "bin!",
                 count(*) AS "count!"
             FROM message_facts AS f
             WHERE f.is_reply
                 AND (
                     f.occurred_at >= $2 AND f.occurred_at < $9
                     OR f.occurred_at >= $10 AND f.occurred_at < $3
                 )
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($7)
                 ))
             GROUP BY 1, 2, 3"#,
            selection.starts,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            rolled.from,
            rolled.to,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        for row in rows {
            let bins = all.entry((place(row.bucket), row.split)).or_default();
            *bins.entry(row.bin).or_default() += row.count;
        }
        Ok(())
    }
}
