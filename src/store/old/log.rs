//! Deliveries that are over age, where sources keep theirs for different times: a day of the log is
//! no whole then, and goes row by row.

use uuid::Uuid;

use super::{Limits, Old};
use crate::store::erase::Tally;
use crate::store::page::BEFORE_ALL;
use crate::store::{Store, StoreError};

/// Deliveries that go in one transaction.
const BATCH_DELIVERIES: i64 = 1_000;

impl Store {
    /// What of the log of deliveries is over age; what lies in quarantine by limits of its own.
    pub async fn old_deliveries(
        &self,
        limits: &Limits,
        of_quarantine: &Limits,
    ) -> Result<Vec<Old>, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let (_, quarantined, usual_quarantined) = of_quarantine.parts();
        let rows = sqlx::query!(
            r#"SELECT d.source, count(*) AS "rows!"
             FROM deliveries AS d
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[], $3::timestamptz[])
                 AS l (source, until, quarantined_until) ON l.source = d.source
             WHERE d.received_at < $6
                 AND d.received_at < CASE d.outcome
                     WHEN 'quarantined' THEN COALESCE(l.quarantined_until, $5)
                     ELSE COALESCE(l.until, $4)
                 END
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.session_id = d.session_id
                         OR h.session_id IS NULL AND h.agent_id = d.agent_id
                 )
             GROUP BY d.source
             ORDER BY d.source"#,
            &sources,
            &untils,
            &quarantined,
            usual,
            usual_quarantined,
            limits.latest(),
        )
        .fetch_all(&self.pool)
        .await?;
        let old = |(source, rows)| Old { table: "deliveries", source, rows };
        Ok(rows.into_iter().map(|row| old((row.source, row.rows))).collect())
    }

    /// Deletes deliveries that are over age, one walk along the log.
    pub async fn drop_old_deliveries(
        &self,
        limits: &Limits,
        of_quarantine: &Limits,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let (sources, untils, usual) = limits.parts();
        let (_, quarantined, usual_quarantined) = of_quarantine.parts();
        let mut after = (BEFORE_ALL, Uuid::nil());
        loop {
            let gone = sqlx::query!(
                "DELETE FROM deliveries
                 WHERE (received_at, id) IN (
                     SELECT d.received_at, d.id
                     FROM deliveries AS d
                     LEFT JOIN UNNEST($1::text[], $2::timestamptz[], $3::timestamptz[])
                         AS l (source, until, quarantined_until) ON l.source = d.source
                     WHERE d.received_at < $6
                         AND (d.received_at, d.id) > ($7, $8)
                         AND d.received_at < CASE d.outcome
                             WHEN 'quarantined' THEN COALESCE(l.quarantined_until, $5)
                             ELSE COALESCE(l.until, $4)
                         END
                         AND NOT EXISTS (
                             SELECT FROM holds AS h
                             WHERE h.session_id = d.session_id
                                 OR h.session_id IS NULL AND h.agent_id = d.agent_id
                         )
                     ORDER BY d.received_at, d.id
                     LIMIT $9
                 )
                 RETURNING received_at, id",
                &sources,
                &untils,
                &quarantined,
                usual,
                usual_quarantined,
                limits.latest(),
                after.0,
                after.1,
                BATCH_DELIVERIES,
            )
            .fetch_all(&self.pool)
            .await?;
            tally.add("deliveries", gone.len() as u64);
            match gone.iter().map(|row| (row.received_at, row.id)).max() {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }
}
