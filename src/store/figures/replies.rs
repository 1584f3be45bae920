//! Spread of reply gaps, from counts by bin.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::counts::Kinds;
use super::cover::{Cover, Parts, Stored};
use super::{Cell, Cells, Counts, Selection, Snapshot, Spread, place};
use crate::analytics::bins::{middle, percentile};
use crate::store::StoreError;

/// Bins and numbers of gaps in them, by bucket and group; a bin can come more than once.
type BinsOf = HashMap<Cell, Vec<(i32, i64)>>;

impl Snapshot {
    /// Reads the spread of reply gaps: count and sum are exact, percentiles and maximum are read from
    /// bins.
    pub(super) async fn spread_of_replies(
        &mut self,
        selection: &Selection<'_>,
    ) -> Result<Cells<Spread>, StoreError> {
        let cover = Cover::of(selection, Stored::ReplyGaps);
        let mut all = BinsOf::new();
        for (level, parts) in &cover.parts {
            match level {
                Some(level) => {
                    let agents = cover.agents.as_deref();
                    self.add_stored_gaps(selection, *level, parts, agents, &mut all).await?;
                }
                None => self.add_gaps_of_facts(selection, parts, &mut all).await?,
            }
        }
        let kinds = Kinds { messages: true, ..Kinds::default() };
        let counts = self.counts(kinds, selection).await?;
        let spread = |(cell, counts): (Cell, Counts)| {
            let bins = merged(all.remove(&cell)?);
            let at = |fraction| percentile(&bins, fraction);
            #[expect(clippy::cast_possible_truncation, reason = "a length of time")]
            let max = middle(bins.last()?.0) as i64;
            let percentiles = [at(0.5)?, at(0.9)?, at(0.99)?];
            let (count, sum) = (counts.messages.replies, counts.messages.reply_gap_us);
            Some((cell, Spread { count, sum, percentiles, max }))
        };
        Ok(counts.into_iter().filter_map(spread).collect())
    }

    /// Adds the counts by bin of stored rows.
    async fn add_stored_gaps(
        &mut self,
        selection: &Selection<'_>,
        level: i16,
        parts: &Parts,
        agents: Option<&[String]>,
        all: &mut BinsOf,
    ) -> Result<(), StoreError> {
        let mut rows = sqlx::query!(
            r#"SELECT
                 width_bucket(g.starts_at, $1::timestamptz[]) AS "bucket!",
                 CASE $2::text WHEN 'agent' THEN g.agent_id WHEN 'source' THEN g.source END AS split,
                 g.bins,
                 g.counts
             FROM UNNEST($4::timestamptz[], $5::timestamptz[]) AS part (from_at, to_at)
             JOIN reply_gaps AS g ON g.starts_at >= part.from_at AND g.starts_at < part.to_at
             WHERE g.level = $3
                 AND ($6::text[] IS NULL OR g.agent_id = ANY ($6))
                 AND ($7::text[] IS NULL OR g.source = ANY ($7))"#,
            selection.starts,
            selection.split(),
            level,
            &parts.starts,
            &parts.ends,
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

    /// Adds the counts by bin of facts.
    async fn add_gaps_of_facts(
        &mut self,
        selection: &Selection<'_>,
        parts: &Parts,
        all: &mut BinsOf,
    ) -> Result<(), StoreError> {
        let mut rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.occurred_at, $1::timestamptz[]) AS "bucket!",
                 CASE $6::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 reply_gap_bin(f.silence_us) AS "bin!",
                 count(*) AS "count!"
             FROM UNNEST($7::timestamptz[], $8::timestamptz[]) AS part (from_at, to_at)
             JOIN message_facts AS f
                 ON f.occurred_at >= part.from_at AND f.occurred_at < part.to_at
             WHERE f.is_reply
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
            &parts.starts,
            &parts.ends,
        )
        .fetch(&mut *self.transaction);
        while let Some(row) = rows.try_next().await? {
            let bins = all.entry((place(row.bucket), row.split)).or_default();
            bins.push((row.bin, row.count));
        }
        Ok(())
    }
}

/// Sorts bins, and adds up those that come more than once.
fn merged(mut bins: Vec<(i32, i64)>) -> Vec<(i32, i64)> {
    bins.sort_unstable_by_key(|(bin, _)| *bin);
    bins.dedup_by(|(bin, count), (kept, sum)| {
        let same = bin == kept;
        if same {
            *sum += *count;
        }
        same
    });
    bins
}
