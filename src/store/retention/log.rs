//! Retention of deliveries where it differs between sources: no day of the log expires as a whole,
//! so rows are deleted one by one.

use std::collections::BTreeMap;

use sqlx::Connection as _;

use super::{ExpiredRows, Limits, turn};
use crate::store::erase::Tally;
use crate::store::log_walk::{LogRange, LogWalk};
use crate::store::{Store, StoreError};

impl Store {
    /// Counts expired deliveries. Quarantined ones have their own limits.
    pub async fn count_expired_deliveries(
        &self,
        limits: &Limits,
        of_quarantine: &Limits,
    ) -> Result<Vec<ExpiredRows>, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let (_, quarantined, usual_quarantined) = of_quarantine.parts();
        let mut connection = self.long_running_connection().await?;
        let mut walk = LogWalk::up_to(limits.latest());
        let mut old: BTreeMap<String, i64> = BTreeMap::new();
        while let Some(LogRange { after, to }) = walk.next(&mut connection).await? {
            let rows = sqlx::query!(
                r#"SELECT d.source, count(*) AS "rows!"
                 FROM deliveries AS d
                 LEFT JOIN UNNEST($1::text[], $2::timestamptz[], $3::timestamptz[])
                     AS l (source, until, quarantined_until) ON l.source = d.source
                 WHERE d.received_at BETWEEN $6 AND $8
                     AND (d.received_at, d.id) > ($6, $7)
                     AND (d.received_at, d.id) <= ($8, $9)
                     AND d.received_at < CASE d.outcome
                         WHEN 'quarantined' THEN COALESCE(l.quarantined_until, $5)
                         ELSE COALESCE(l.until, $4)
                     END
                     AND NOT EXISTS (
                         SELECT FROM holds AS h
                         WHERE h.session_id = d.session_id
                             OR h.session_id IS NULL AND h.agent_id = d.agent_id
                     )
                 GROUP BY d.source"#,
                &sources,
                &untils,
                &quarantined,
                usual,
                usual_quarantined,
                after.0,
                after.1,
                to.0,
                to.1,
            )
            .fetch_all(&mut connection)
            .await?;
            for row in rows {
                *old.entry(row.source).or_default() += row.rows;
            }
        }
        let _ = connection.close().await;
        let old = old.into_iter();
        Ok(old.map(|(source, rows)| ExpiredRows { table: "deliveries", source, rows }).collect())
    }

    /// Deletes expired deliveries in one pass over the log. Returns false, and deletes nothing,
    /// while another service deletes expired rows.
    pub async fn delete_expired_deliveries(
        &self,
        limits: &Limits,
        of_quarantine: &Limits,
        tally: &mut Tally,
    ) -> Result<bool, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let (_, quarantined, usual_quarantined) = of_quarantine.parts();
        let mut connection = self.long_running_connection().await?;
        if !turn::take(&mut connection).await? {
            let _ = connection.close().await;
            return Ok(false);
        }
        let mut walk = LogWalk::up_to(limits.latest());
        while let Some(LogRange { after, to }) = walk.next(&mut connection).await? {
            let gone = sqlx::query!(
                "DELETE FROM deliveries AS d
                 WHERE d.received_at BETWEEN $6 AND $8
                     AND (d.received_at, d.id) > ($6, $7)
                     AND (d.received_at, d.id) <= ($8, $9)
                     AND d.received_at < COALESCE(
                         (
                             SELECT CASE d.outcome
                                 WHEN 'quarantined' THEN l.quarantined_until
                                 ELSE l.until
                             END
                             FROM UNNEST($1::text[], $2::timestamptz[], $3::timestamptz[])
                                 AS l (source, until, quarantined_until)
                             WHERE l.source = d.source
                         ),
                         CASE d.outcome WHEN 'quarantined' THEN $5::timestamptz ELSE $4 END
                     )
                     AND NOT EXISTS (
                         SELECT FROM holds AS h
                         WHERE h.session_id = d.session_id
                             OR h.session_id IS NULL AND h.agent_id = d.agent_id
                     )",
                &sources,
                &untils,
                &quarantined,
                usual,
                usual_quarantined,
                after.0,
                after.1,
                to.0,
                to.1,
            )
            .execute(&mut connection)
            .await?;
            tally.add("deliveries", gone.rows_affected());
        }
        turn::end(&mut connection).await?;
        let _ = connection.close().await;
        Ok(true)
    }
}
