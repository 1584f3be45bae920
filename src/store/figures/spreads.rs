//! Spreads: average, percentiles and largest of a value of each session or message.

use super::{Cells, Selection, Snapshot, place};
use crate::store::StoreError;

/// Value whose spread is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// From a session's start to its last activity, in microseconds.
    SessionDuration,
    /// Messages of a session.
    Messages,
    /// User turns of a session.
    Turns,
    /// First reply gap of a session, in microseconds.
    FirstReplyGap,
    /// Longest silence of a session, in microseconds.
    LongestSilence,
    /// Reply gap of a message, in microseconds.
    ReplyGap,
}

/// Spread of some values. That of reply gaps is exact in `count` and `sum` alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub count: i64,
    /// All of them together.
    pub sum: i64,
    /// Median, 90th and 99th percentile, interpolated linearly.
    pub percentiles: [f64; 3],
    /// The largest.
    pub max: i64,
}

impl Snapshot {
    /// Reads the spread of a value. Buckets without any value have no cell.
    pub async fn spread(
        &mut self,
        value: Value,
        selection: &Selection<'_>,
    ) -> Result<Cells<Spread>, StoreError> {
        match value {
            Value::ReplyGap => self.spread_of_replies(selection).await,
            Value::SessionDuration => self.spread_of_sessions("duration", selection).await,
            Value::Messages => self.spread_of_sessions("messages", selection).await,
            Value::Turns => self.spread_of_sessions("turns", selection).await,
            Value::FirstReplyGap => self.spread_of_sessions("first_reply_gap", selection).await,
            Value::LongestSilence => self.spread_of_sessions("longest_silence", selection).await,
        }
    }

    async fn spread_of_sessions(
        &mut self,
        value: &str,
        selection: &Selection<'_>,
    ) -> Result<Cells<Spread>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT
                 width_bucket(f.started_at, $1::timestamptz[]) AS "bucket!",
                 CASE $8::text WHEN 'agent' THEN f.agent_id WHEN 'source' THEN f.source END AS split,
                 count(v.value) AS "count!",
                 sum(v.value)::bigint AS "sum!",
                 percentile_cont(ARRAY[0.5, 0.9, 0.99])
                     WITHIN GROUP (ORDER BY v.value::double precision) AS "percentiles!",
                 max(v.value) AS "max!"
             FROM session_facts AS f
             CROSS JOIN LATERAL (
                 SELECT CASE $9::text
                     WHEN 'duration' THEN
                         (extract(epoch FROM f.last_activity_at - f.started_at) * 1000000)::bigint
                     WHEN 'messages' THEN f.messages
                     WHEN 'turns' THEN f.turns
                     WHEN 'first_reply_gap' THEN f.first_reply_gap_us
                     WHEN 'longest_silence' THEN f.longest_silence_us
                 END AS value
             ) AS v
             WHERE f.started_at >= $2
                 AND f.started_at < $3
                 AND v.value IS NOT NULL
                 AND ($4::text[] IS NULL OR f.agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR f.agent_id = ANY ($5))
                 AND ($6::text[] IS NULL OR f.source = ANY ($6))
                 AND ($7::text[] IS NULL OR f.room_name = ANY ($7))
             GROUP BY 1, 2"#,
            selection.starts,
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
        let cells = rows.into_iter().map(|row| {
            let spread = Spread {
                count: row.count,
                sum: row.sum,
                percentiles: three(&row.percentiles),
                max: row.max,
            };
            ((place(row.bucket), row.split), spread)
        });
        Ok(cells.collect())
    }
}

fn three(percentiles: &[f64]) -> [f64; 3] {
    let one = |place: usize| percentiles.get(place).copied().unwrap_or_default();
    [one(0), one(1), one(2)]
}
