//! What is over age, by the source that it came from: what there is of it, and how it goes.
//!
//! Conversations go a session at a time, so that a session's counts are always those of its
//! messages. A month of `messages` is dropped once nothing is left in it. What is held stays.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use uuid::Uuid;

use super::erase::{BATCH_MESSAGES, BATCH_SESSIONS, DELETING, Tally};
use super::erase::{correct_agents, delete_sessions, trim};
use super::page::BEFORE_ALL;
use super::{Store, StoreError};

/// Deliveries that go in one transaction.
const BATCH_DELIVERIES: i64 = 1_000;

/// Until when something is over age; `None` is never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Where nothing else is said.
    pub usual: Option<DateTime<Utc>>,
    /// Of these sources.
    pub of_sources: BTreeMap<String, Option<DateTime<Utc>>>,
}

impl Limits {
    /// As parameters: sources, their limits, the usual one.
    fn parts(&self) -> (Vec<String>, Vec<DateTime<Utc>>, DateTime<Utc>) {
        let (sources, limits) = self
            .of_sources
            .iter()
            .map(|(source, limit)| (source.clone(), limit.unwrap_or(BEFORE_ALL)))
            .unzip();
        (sources, limits, self.usual.unwrap_or(BEFORE_ALL))
    }

    /// Of one source.
    fn of(&self, source: &str) -> Option<DateTime<Utc>> {
        self.of_sources.get(source).copied().unwrap_or(self.usual)
    }

    /// Nothing later is over age.
    fn latest(&self) -> DateTime<Utc> {
        let of_sources = self.of_sources.values().copied().flatten();
        of_sources.chain(self.usual).max().unwrap_or(BEFORE_ALL)
    }
}

/// Rows of one source that are over age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    /// The table.
    pub table: &'static str,
    /// The source.
    pub source: String,
    /// How many.
    pub rows: i64,
}

impl Store {
    /// What of conversations is over age.
    pub async fn old_conversations(&self, limits: &Limits) -> Result<Vec<Old>, StoreError> {
        let (sources, untils, usual) = limits.parts();
        let whole = sqlx::query!(
            r#"SELECT s.source, count(*) AS "sessions!", sum(s.message_count)::bigint AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             WHERE s.activity_bucket <= $4
                 AND s.last_activity_at < COALESCE(l.until, $3)
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source
             ORDER BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&self.pool)
        .await?;
        let parts = sqlx::query!(
            r#"SELECT s.source, count(*) AS "messages!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             JOIN messages AS m ON m.session_id = s.id
             WHERE s.started_at < COALESCE(l.until, $3)
                 AND s.last_activity_at >= COALESCE(l.until, $3)
                 AND m.occurred_at < COALESCE(l.until, $3)
                 AND m.occurred_at < $4
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             GROUP BY s.source"#,
            &sources,
            &untils,
            usual,
            limits.latest(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut messages: BTreeMap<String, i64> = BTreeMap::new();
        let mut old = Vec::new();
        for row in whole {
            *messages.entry(row.source.clone()).or_default() += row.messages;
            old.push(Old { table: "sessions", source: row.source, rows: row.sessions });
        }
        for row in parts {
            *messages.entry(row.source).or_default() += row.messages;
        }
        old.extend(messages.into_iter().filter(|(_, rows)| *rows > 0).map(|(source, rows)| Old {
            table: "messages",
            source,
            rows,
        }));
        Ok(old)
    }

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

    /// Deletes sessions whose last activity is over age, and of others the messages that are.
    pub async fn drop_old_sessions(
        &self,
        limits: &Limits,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        // Out of the pool: a transaction that is open goes with the connection.
        let mut connection = self.pool.acquire().await?.detach();
        drop_whole(&mut connection, limits, tally).await?;
        drop_parts(&mut connection, limits, tally).await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Drops months of `messages` that end before a time and hold nothing any more.
    pub async fn drop_empty_months(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text
             FROM pg_inherits
             JOIN pg_class ON pg_class.oid = inhrelid
             WHERE inhparent = 'messages'::regclass
             ORDER BY relname",
        )
        .fetch_all(&mut connection)
        .await?;
        // Those that the other job would make again stay.
        let until = until.min(start_of_last_month(now));
        for name in names.iter().filter(|name| month_end(name).is_some_and(|end| end <= until)) {
            tally.add("partitions", drop_if_empty(&mut connection, name).await?);
        }
        let _ = connection.close().await;
        Ok(())
    }
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

fn start_of_last_month(now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.date_naive();
    let this = today.with_day(1).unwrap_or(today);
    midnight(this.checked_sub_months(Months::new(1)).unwrap_or(this))
}

/// When the month ends that a partition, named as we name them, is for.
fn month_end(name: &str) -> Option<DateTime<Utc>> {
    let month = name.strip_prefix("messages_")?;
    let from = NaiveDate::parse_from_str(&format!("{month}_01"), "%Y_%m_%d").ok()?;
    from.checked_add_months(Months::new(1)).map(midnight)
}

async fn drop_if_empty(connection: &mut PgConnection, name: &str) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // As the job that makes partitions has it: the drain must not wait for long. The name was
    // parsed.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET LOCAL lock_timeout = '2s';
         SET LOCAL idle_in_transaction_session_timeout = '10s';
         SELECT pg_advisory_xact_lock(hashtext('verbatim partitions'));
         LOCK TABLE ONLY messages, {name} IN ACCESS EXCLUSIVE MODE"
    )))
    .execute(&mut *transaction)
    .await?;
    let sql = format!("SELECT EXISTS (SELECT FROM {name})");
    let full: bool =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
    if full {
        return Ok(0);
    }
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(1)
}

async fn drop_whole(
    connection: &mut PgConnection,
    limits: &Limits,
    tally: &mut Tally,
) -> Result<(), sqlx::Error> {
    let (sources, untils, usual) = limits.parts();
    let mut after = (BEFORE_ALL, Uuid::nil());
    let mut agents = Vec::new();
    loop {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let found = sqlx::query!(
            "SELECT s.id, s.activity_bucket
             FROM sessions AS s
             WHERE s.activity_bucket <= $4
                 AND (s.activity_bucket, s.id) > ($5, $6)
                 AND s.last_activity_at < COALESCE(
                     (
                         SELECT l.until
                         FROM UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                         WHERE l.source = s.source
                     ),
                     $3
                 )
                 AND s.message_count <= $7
                 AND NOT EXISTS (
                     SELECT FROM holds AS h
                     WHERE h.agent_id = s.agent_id
                         AND (h.session_id IS NULL OR h.session_id = s.id)
                 )
             ORDER BY s.activity_bucket, s.id
             LIMIT $8",
            &sources,
            &untils,
            usual,
            limits.latest(),
            after.0,
            after.1,
            BATCH_MESSAGES,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = found.iter().map(|row| (row.activity_bucket, row.id)).max() else { break };
        after = last;
        let ids: Vec<Uuid> = found.iter().map(|row| row.id).collect();
        let ids = still_old(&mut transaction, &ids, limits).await?;
        let mut rows = tally.clone();
        let gone = delete_sessions(&mut transaction, &ids, &mut rows).await?;
        transaction.commit().await?;
        *tally = rows;
        agents.extend(gone.agents);
        agents.sort_unstable();
        agents.dedup();
    }
    for agent in agents {
        let mut transaction = connection.begin().await?;
        correct_agents(&mut transaction, &[agent]).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// Locks sessions, in the order in which the writer does, and passes over those that have become
/// active meanwhile.
async fn still_old(
    connection: &mut PgConnection,
    ids: &[Uuid],
    limits: &Limits,
) -> Result<Vec<Uuid>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, source, last_activity_at
         FROM sessions
         WHERE id = ANY ($1)
         ORDER BY id
         FOR UPDATE",
        ids,
    )
    .fetch_all(connection)
    .await?;
    let old = rows.into_iter().filter(|row| Some(row.last_activity_at) < limits.of(&row.source));
    Ok(old.map(|row| row.id).collect())
}

/// Messages that are over age, of sessions that are not, or are too long to go at once.
async fn drop_parts(
    connection: &mut PgConnection,
    limits: &Limits,
    tally: &mut Tally,
) -> Result<(), sqlx::Error> {
    let (sources, untils, usual) = limits.parts();
    let mut after = Uuid::nil();
    let mut shortened = 0;
    loop {
        let found = sqlx::query!(
            r#"SELECT s.id, COALESCE(l.until, $3) AS "until!"
             FROM sessions AS s
             LEFT JOIN UNNEST($1::text[], $2::timestamptz[]) AS l (source, until)
                 ON l.source = s.source
             WHERE s.id > $4
                 AND s.started_at < COALESCE(l.until, $3)
                 AND s.message_count > 0
             ORDER BY s.id
             LIMIT $5"#,
            &sources,
            &untils,
            usual,
            after,
            BATCH_SESSIONS,
        )
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = found.last() else { break };
        after = last.id;
        for row in found {
            shortened += u32::from(shorten(connection, row.id, row.until, tally).await?);
        }
    }
    // What was too long is not any more.
    if shortened > 0 { drop_whole(connection, limits, tally).await } else { Ok(()) }
}

async fn shorten(
    connection: &mut PgConnection,
    session: Uuid,
    until: DateTime<Utc>,
    tally: &mut Tally,
) -> Result<bool, sqlx::Error> {
    let mut any = false;
    loop {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT
                 FROM sessions AS s
                 JOIN holds AS h
                     ON h.agent_id = s.agent_id AND (h.session_id IS NULL OR h.session_id = s.id)
                 WHERE s.id = $1
             ) AS "held!""#,
            session,
        )
        .fetch_one(&mut *transaction)
        .await?;
        if held {
            return Ok(any);
        }
        let mut rows = tally.clone();
        let cut = trim(&mut transaction, session, Some(until), &mut rows).await?;
        transaction.commit().await?;
        *tally = rows;
        any |= cut > 0;
        if cut < BATCH_MESSAGES {
            return Ok(any);
        }
    }
}
