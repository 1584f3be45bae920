//! Spread of reply gaps, computed from counts by bin.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::cover::{Cover, Extent, Stored};
use super::{Cell, Cells, Counts, Selection, Snapshot, Spread, place};
use crate::analytics::bins::{COUNT, middle, percentile};
use crate::store::StoreError;

/// Bins with their numbers of gaps, by bucket and group. A bin can occur more than once.
type BinsOf = HashMap<Cell, Vec<(i32, i64)>>;

impl Snapshot {
    /// Reads the spread of reply gaps. Percentiles and maximum come from bins; count and sum come
    /// from the counts of messages.
    pub(super) async fn spread_of_replies(
        &mut self,
        counts: &Cells<Counts>,
        selection: &Selection<'_>,
    ) -> Result<Cells<Spread>, StoreError> {
        let cover = Cover::of(selection, Stored::ReplyGaps);
        let mut all = BinsOf::new();
        for extent in cover.extents() {
            if extent.level.is_some() {
                let agents = cover.agents.as_deref();
                self.add_stored_gaps(selection, &extent, agents, &mut all).await?;
            } else {
                self.add_gaps_of_facts(selection, &extent, 1, &mut all).await?;
            }
        }
        if let Some(extent) = cover.excess() {
            self.add_gaps_of_facts(selection, &extent, -1, &mut all).await?;
        }
        let spread = |(cell, counts): (&Cell, &Counts)| {
            let bins = merged(all.get(cell)?);
            let at = |fraction| percentile(&bins, fraction);
            #[expect(clippy::cast_possible_truncation, reason = "a length of time")]
            let max = middle(bins.last()?.0) as i64;
            let percentiles = [at(0.5)?, at(0.9)?, at(0.99)?];
            let (count, sum) = (counts.messages.replies, counts.messages.reply_gap_us);
            Some((cell.clone(), Spread { count, sum, percentiles, max }))
        };
        Ok(counts.iter().filter_map(spread).collect())
    }

    /// Adds the counts by bin of stored rows.
    async fn add_stored_gaps(
        &mut self,
        selection: &Selection<'_>,
        extent: &Extent,
        agents: Option<&[String]>,
        all: &mut BinsOf,
    ) -> Result<(), StoreError> {
        let [first, second] = extent.ranges;
        let mut rows = sqlx::query!(
            r#"SELECT
                 width_bucket(g.starts_at, $1::timestamptz[]) AS "bucket!",
                 CASE $2::text WHEN 'agent' THEN g.agent_id WHEN 'source' THEN g.source END AS split,
                 g.bins,
                 g.counts
             FROM reply_gaps AS g
             WHERE g.level = $3
                 AND ($4::timestamptz[] IS NULL OR g.starts_at = ANY ($4))
                 AND (
                     $4 IS NOT NULL
                     OR g.starts_at >= $5 AND g.starts_at < $6
                     OR g.starts_at >= $7 AND g.starts_at < $8
                 )
                 AND ($9::text[] IS NULL OR g.agent_id = ANY ($9))
                 AND ($10::text[] IS NULL OR g.source = ANY ($10))"#,
            selection.starts,
            selection.split(),
            extent.level,
            extent.starts.as_deref() as _,
            first.0,
            first.1,
            second.0,
            second.1,
            agents as _,
            selection.sources as _,
        )
        .fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await? {
            let bins = all.entry((place(row.bucket), row.split)).or_default();
            bins.extend(row.bins.into_iter().zip(row.counts.into_iter().map(i64::from)));
        }
        Ok(())
    }

    /// Adds the counts by bin of facts, multiplied by `times`.
    async fn add_gaps_of_facts(
        &mut self,
        selection: &Selection<'_>,
        extent: &Extent,
        times: i64,
        all: &mut BinsOf,
    ) -> Result<(), StoreError> {
        let [first, second] = extent.ranges;
        let mut rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.occurred_at, $1::timestamptz[]) AS "bucket!",
                 CASE $6::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 reply_gap_bin(f.silence_us) AS "bin!",
                 count(*) AS "count!"
             FROM message_facts AS f
             WHERE f.is_reply
                 AND (
                     f.occurred_at >= $7 AND f.occurred_at < $8
                     OR f.occurred_at >= $9 AND f.occurred_at < $10
                 )
                 AND ($2::text[] IS NULL OR f.agent_id = ANY ($2))
                 AND ($3::text[] IS NULL OR f.agent_id = ANY ($3))
                 AND ($4::text[] IS NULL OR f.source = ANY ($4))
                 AND ($5::text[] IS NULL OR f.session_id IN (
                     SELECT s.session_id FROM session_facts AS s WHERE s.room_name = ANY ($5)
                 ))
             GROUP BY 1, 2, 3"#,
            selection.starts,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            selection.split(),
            first.0,
            first.1,
            second.0,
            second.1,
        )
        .fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await? {
            let bins = all.entry((place(row.bucket), row.split)).or_default();
            bins.push((row.bin, times * row.count));
        }
        Ok(())
    }
}

/// Sorts bins, adds the counts of equal bins, and leaves out empty bins.
fn merged(bins: &[(i32, i64)]) -> Vec<(i32, i64)> {
    let mut counts = vec![0; COUNT];
    for (bin, count) in bins {
        if let Some(sum) = usize::try_from(*bin).ok().and_then(|bin| counts.get_mut(bin)) {
            *sum += *count;
        }
    }
    (0..).zip(counts).filter(|(_, count)| *count != 0).collect()
}
