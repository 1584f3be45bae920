//! Largest groups of sessions, and the total of the rest.

use std::cmp::Ordering;

use super::figure::{Figure, Number, Wanted, figure_of_values};
use super::metrics::{Figures, Grouping};
use super::spreads::three;
use super::{Selection, Snapshot, Spread};
use crate::analytics::catalog::{Attribution, Metric};
use crate::store::StoreError;

/// Longest text of a first message, in characters. Longer ones are grouped by their beginning.
pub const MAX_FIRST_MESSAGE: i32 = 200;

/// Groups among which the largest are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopBy {
    /// By a column of facts.
    Facts(Grouping),
    /// By the session's room. Sessions without a room form a group.
    Room,
    /// By the text of the session's first user message. Sessions without one form a group.
    FirstMessage,
}

/// Largest groups, and the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Top {
    /// Names and figures of the largest groups, sorted by figure, largest first, then by name.
    pub groups: Vec<(Option<String>, Figure)>,
    /// Number of the other groups.
    pub other_groups: i64,
    /// Figure of all other groups; without a value if the metric does not add up.
    pub other: Figure,
}

impl TopBy {
    /// Returns true if a metric has these groups. Rooms and first messages belong to sessions, so
    /// they only have metrics that count at the session's start.
    #[must_use]
    pub fn has(self, metric: &Metric) -> bool {
        match self {
            Self::Facts(grouping) => metric.group_by.contains(&grouping.dimension()),
            Self::Room | Self::FirstMessage => metric.attribution == Attribution::SessionStart,
        }
    }
}

/// Group of sessions, with totals over all groups.
struct Ranked {
    name: Option<String>,
    count: i64,
    sum: i64,
    percentiles: Option<Vec<f64>>,
    max: i64,
    groups: i64,
    all_count: i64,
    all_sum: i64,
}

impl Snapshot {
    /// Finds the largest groups of the selection, which must have one bucket and be split by `by`.
    pub async fn top(
        &mut self,
        wanted: Wanted,
        by: TopBy,
        limit: usize,
        selection: &Selection<'_>,
    ) -> Result<Top, StoreError> {
        match by {
            TopBy::Facts(grouping) => {
                let figures = Figures::read(self, selection, &[wanted], Some(grouping)).await?;
                Ok(largest(&figures, wanted, grouping, limit))
            }
            TopBy::Room => self.top_sessions(wanted, "room", limit, selection).await,
            TopBy::FirstMessage => {
                self.top_sessions(wanted, "first_message", limit, selection).await
            }
        }
    }

    async fn top_sessions(
        &mut self,
        wanted: Wanted,
        by: &str,
        limit: usize,
        selection: &Selection<'_>,
    ) -> Result<Top, StoreError> {
        self.check_cost(selection, &[wanted], false).await?;
        let ranked = self.ranked_sessions(wanted, by, limit, selection).await?;
        let (mut other_groups, mut rest) = ranked
            .first()
            .map_or((0, (0, 0)), |group| (group.groups, (group.all_count, group.all_sum)));
        let mut groups = Vec::with_capacity(ranked.len());
        for group in ranked {
            other_groups -= 1;
            rest = (rest.0 - group.count, rest.1 - group.sum);
            let percentiles = three(&group.percentiles.unwrap_or_default());
            let spread = Spread { count: group.count, sum: group.sum, percentiles, max: group.max };
            groups.push((group.name, figure_of_values(&spread, wanted)));
        }
        let rest = Spread { count: rest.0, sum: rest.1, percentiles: [0.0; 3], max: 0 };
        let other = if wanted.metric.adds_up() {
            figure_of_values(&rest, wanted)
        } else {
            Figure::default()
        };
        Ok(Top { groups, other_groups, other })
    }

    /// Reads the largest groups. Every figure is a statistic over values of sessions; for a count
    /// or a ratio each value is 0 or 1.
    async fn ranked_sessions(
        &mut self,
        wanted: Wanted,
        by: &str,
        limit: usize,
        selection: &Selection<'_>,
    ) -> Result<Vec<Ranked>, StoreError> {
        let ranked = sqlx::query_as!(
            Ranked,
            r#"WITH chosen AS (
                 SELECT
                     CASE
                         WHEN $7::text = 'room' THEN f.room_name
                         WHEN f.user_messages > 0 THEN (
                             SELECT left(said.message, $11::integer)
                             FROM (
                                 SELECT u.occurred_at, u.id
                                 FROM message_facts AS u
                                 WHERE u.session_id = f.session_id AND u.role = 'user'
                                 ORDER BY u.occurred_at, u.tie
                                 LIMIT 1
                             ) AS first
                             CROSS JOIN LATERAL (
                                 SELECT m.message
                                 FROM messages AS m
                                 WHERE m.session_id = f.session_id
                                     AND m.occurred_at = first.occurred_at
                                     AND m.id = first.id
                                 -- One look-up by the whole key, and no join.
                                 OFFSET 0
                             ) AS said
                         )
                     END AS name,
                     session_value(f, $8) AS value
                 FROM session_facts AS f
                 WHERE f.started_at >= $1
                     AND f.started_at < $2
                     AND ($3::text[] IS NULL OR f.agent_id = ANY ($3))
                     AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                     AND ($5::text[] IS NULL OR f.source = ANY ($5))
                     AND ($6::text[] IS NULL OR f.room_name = ANY ($6))
             ),
             grouped AS (
                 SELECT
                     name COLLATE "C" AS name,
                     count(value) AS count,
                     sum(value) AS sum,
                     percentile_cont(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (
                         ORDER BY CASE
                             WHEN $9::text IN ('p50', 'p90', 'p99') THEN value::double precision
                         END
                     ) AS percentiles,
                     max(value) AS max
                 FROM chosen
                 WHERE value IS NOT NULL
                 GROUP BY 1
             )
             SELECT
                 name,
                 count AS "count!",
                 sum::bigint AS "sum!",
                 percentiles,
                 max AS "max!",
                 count(*) OVER () AS "groups!",
                 (sum(count) OVER ())::bigint AS "all_count!",
                 (sum(sum) OVER ())::bigint AS "all_sum!"
             FROM grouped
             ORDER BY
                 CASE $9
                     WHEN 'count' THEN sum::double precision
                     WHEN 'p50' THEN percentiles[1]
                     WHEN 'p90' THEN percentiles[2]
                     WHEN 'p99' THEN percentiles[3]
                     WHEN 'max' THEN max::double precision
                     ELSE sum::double precision / count
                 END DESC,
                 name NULLS LAST
             LIMIT $10"#,
            selection.from(),
            selection.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            by,
            wanted.metric.name,
            wanted.stat.as_str(),
            i64::try_from(limit).unwrap_or(i64::MAX),
            MAX_FIRST_MESSAGE,
        )
        .fetch_all(&mut *self.transaction)
        .await?;
        Ok(ranked)
    }
}

/// Finds the largest groups among figures of one bucket.
fn largest(figures: &Figures, wanted: Wanted, grouping: Grouping, limit: usize) -> Top {
    let figure = |name: Option<String>| {
        let figure = figures.figure(wanted, &(0, name.clone()));
        (name, figure)
    };
    let mut groups: Vec<_> = figures.groups(Some(grouping)).into_iter().map(figure).collect();
    // The groups are sorted by name, and the stable sort preserves that order.
    groups.sort_by(|(_, one), (_, other)| descending(one, other));
    let rest = groups.split_off(limit.min(groups.len()));
    let nothing = Figure::of_nothing(wanted.metric);
    let sum = rest.iter().fold(nothing, |sum, (_, figure)| sum.plus(*figure));
    Top {
        groups,
        other_groups: i64::try_from(rest.len()).unwrap_or(i64::MAX),
        other: if wanted.metric.adds_up() { sum } else { Figure::default() },
    }
}

/// Orders figures by value, the largest first; figures without a value are last.
fn descending(one: &Figure, other: &Figure) -> Ordering {
    let value = |figure: &Figure| figure.value.map_or(f64::NEG_INFINITY, Number::as_f64);
    value(other).total_cmp(&value(one))
}
