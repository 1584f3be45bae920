//! Counts of reply gaps by bin, which supplement the sums of `activity`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgConnection;

use super::sums::RowKey;
use crate::analytics::bins::bin;

/// Number of gaps by bin.
type Bins = BTreeMap<i32, i64>;

/// Changes to `reply_gaps` that follow from changed facts.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<RowKey, Bins>);

/// Row of `reply_gaps`.
#[derive(Serialize)]
struct Row<'a> {
    level: i16,
    agent_id: &'a str,
    starts_at: DateTime<Utc>,
    source: &'a str,
    bins: Vec<i32>,
    counts: Vec<i64>,
}

impl Gaps {
    /// Adds `count` gaps of a length to a row.
    pub(super) fn add(&mut self, key: RowKey, gap_us: i64, count: i64) {
        *self.0.entry(key).or_default().entry(bin(gap_us)).or_default() += count;
    }

    /// Writes the changes. The caller holds the lock on `facts_position`.
    pub(super) async fn write(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        self.0.retain(|_, bins| bins.values().any(|count| *count != 0));
        if self.0.is_empty() {
            return Ok(());
        }
        self.add_stored(connection).await?;
        let rows: Vec<Row<'_>> = self
            .0
            .iter()
            .map(|((level, agent_id, starts_at, source), bins)| {
                let left = bins.iter().filter(|(_, count)| **count > 0);
                let (bins, counts) = left.map(|(bin, count)| (*bin, *count)).unzip();
                Row { level: *level, agent_id, starts_at: *starts_at, source, bins, counts }
            })
            .collect();
        let rows =
            serde_json::to_string(&rows).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query!(
            "INSERT INTO reply_gaps
             SELECT * FROM jsonb_populate_recordset(NULL::reply_gaps, $1::text::jsonb)
             ON CONFLICT (level, agent_id, starts_at, source) DO UPDATE SET
                 bins = excluded.bins,
                 counts = excluded.counts",
            rows,
        )
        .execute(connection)
        .await?;
        self.0.clear();
        Ok(())
    }

    /// Adds the counts of the stored rows.
    async fn add_stored(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let rows = sqlx::query!(
            "SELECT g.*
             FROM reply_gaps AS g
             JOIN UNNEST($1::smallint[], $2::text[], $3::timestamptz[], $4::text[])
                 AS key (level, agent_id, starts_at, source)
                 USING (level, agent_id, starts_at, source)",
            &self.0.keys().map(|key| key.0).collect::<Vec<_>>(),
            &self.0.keys().map(|key| key.1.as_str()).collect::<Vec<_>>() as _,
            &self.0.keys().map(|key| key.2).collect::<Vec<_>>(),
            &self.0.keys().map(|key| key.3.as_str()).collect::<Vec<_>>() as _,
        )
        .fetch_all(connection)
        .await?;
        for row in rows {
            let key = (row.level, row.agent_id, row.starts_at, row.source);
            let bins = self.0.entry(key).or_default();
            for (bin, count) in row.bins.into_iter().zip(row.counts) {
                *bins.entry(bin).or_default() += i64::from(count);
            }
        }
        Ok(())
    }
}
