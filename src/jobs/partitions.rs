//! Partitions, made ahead of time: months of messages and of their search documents, days of the
//! log of deliveries.
//!
//! The same job keeps the indexes of the log of deliveries up to date that are not written along with
//! their rows.
//!
//! A row whose time has no partition goes to the default one, so nothing is refused when this job
//! is late; when it makes a partition after all, it moves such rows there.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// How often the job looks. Partitions are made days ahead, so it may fail for days.
const INTERVAL: Duration = Duration::from_hours(1);
/// How long a look may take, moving strays included. The drain waits for the first one, and where the
/// network swallows everything there would be no end to it.
const DEADLINE: Duration = Duration::from_mins(1);
/// Months of messages and search documents: the one before this one, for what comes late, and those to come.
const MONTHS: std::ops::RangeInclusive<i32> = -1..=3;
/// Days of deliveries, from today.
const DAYS: u64 = 7;

/// A partition that there should be: `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) name: String,
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// Looks now and then, until the service stops.
pub async fn run(pool: PgPool, clock: Clock, life: Lifecycle) {
    while !life.is_stopping() {
        attempt(&pool, &clock).await;
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Looks once; what goes wrong is logged, and the next look makes good.
pub async fn attempt(pool: &PgPool, clock: &Clock) {
    let error = match tokio::time::timeout(DEADLINE, run_once(pool, clock.now())).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("Postgres did not answer within {} s", DEADLINE.as_secs()),
    };
    tracing::warn!(error, "partitions could not be made; rows go to the default ones");
}

/// Makes what is missing, each in a transaction of its own.
pub async fn run_once(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    // Out of the pool: where the future is dropped half-way, the connection goes with it.
    let mut connection = pool.acquire().await?.detach();
    for partition in wanted(now.date_naive()) {
        make(&mut connection, &partition).await?;
    }
    summarise(&mut connection).await?;
    connection.close().await
}

/// Brings the indexes of the log of deliveries up to what came since the last look: without that a
/// part of the log is read for every session that somebody looks for.
async fn summarise(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "SELECT brin_summarize_new_values(index.indexrelid)
         FROM pg_inherits AS day
         JOIN pg_index AS index ON index.indrelid = day.inhrelid
         JOIN pg_class AS class ON class.oid = index.indexrelid
         JOIN pg_am AS method ON method.oid = class.relam
         WHERE day.inhparent = 'deliveries'::regclass
             AND method.amname = 'brin'
             AND pg_relation_size(index.indrelid) > 0
             AND index.indisvalid",
    )
    .execute(connection)
    .await
    .map(drop)
}

/// The names of those that should be there and are not, without making them.
pub async fn missing(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut missing = Vec::new();
    for partition in wanted(now.date_naive()) {
        if !exists(&mut connection, &partition.name).await? {
            missing.push(partition.name);
        }
    }
    Ok(missing)
}

async fn make(connection: &mut PgConnection, partition: &Partition) -> Result<(), sqlx::Error> {
    let Partition { name, .. } = partition;
    if exists(connection, name).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Several services may look at the same moment; the later one finds it made. The drain must
    // not wait for long, so neither does this: the next look will do.
    lock(&mut transaction).await?;
    if exists(&mut transaction, name).await? {
        return transaction.commit().await;
    }
    attach(&mut transaction, partition).await?;
    transaction.commit().await
}

/// Keeps other services from changing partitions until the end of the transaction, and this one
/// from waiting long for a lock. Nor may the locks stay where the network swallows us half-way.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "SET LOCAL lock_timeout = '2s';
         SET LOCAL idle_in_transaction_session_timeout = '10s';
         SELECT pg_advisory_xact_lock(hashtext('verbatim partitions'))",
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Makes a partition, and moves what belongs there out of the default one.
pub(super) async fn attach(
    connection: &mut PgConnection,
    partition: &Partition,
) -> Result<(), sqlx::Error> {
    let Partition { table, column, name, from, to } = partition;
    // Every part is made from a date, or is a constant.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE;
         CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
         WITH moved AS (
             DELETE FROM {table}_default
             WHERE {column} >= '{from} 00:00:00+00' AND {column} < '{to} 00:00:00+00'
             RETURNING *
         )
         INSERT INTO {name} SELECT * FROM moved;
         ALTER TABLE {table} ATTACH PARTITION {name}
             FOR VALUES FROM ('{from} 00:00:00+00') TO ('{to} 00:00:00+00');"
    )))
    .execute(connection)
    .await
    .map(drop)
}

async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(name).fetch_one(connection).await
}

fn wanted(today: NaiveDate) -> Vec<Partition> {
    let this_month = today.with_day(1).unwrap_or(today);
    let months = |table: &'static str| {
        MONTHS.filter_map(move |offset| {
            let from = shift_months(this_month, offset)?;
            Some(Partition {
                table,
                column: "occurred_at",
                name: format!("{table}_{}", from.format("%Y_%m")),
                from,
                to: shift_months(from, 1)?,
            })
        })
    };
    let days = (0..=DAYS).filter_map(|offset| {
        let from = today.checked_add_days(Days::new(offset))?;
        Some(Partition {
            table: "deliveries",
            column: "received_at",
            name: format!("deliveries_{}", from.format("%Y_%m_%d")),
            from,
            to: from.succ_opt()?,
        })
    });
    months("messages").chain(days).chain(months("search_parts")).collect()
}

fn shift_months(date: NaiveDate, by: i32) -> Option<NaiveDate> {
    let months = Months::new(by.unsigned_abs());
    if by < 0 { date.checked_sub_months(months) } else { date.checked_add_months(months) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_months_around_and_the_days_ahead_are_wanted() {
        let wanted = wanted(NaiveDate::from_ymd_opt(2026, 1, 31).unwrap());
        let names: Vec<&str> = wanted.iter().map(|partition| partition.name.as_str()).collect();
        assert_eq!(
            names[..6],
            [
                "messages_2025_12",
                "messages_2026_01",
                "messages_2026_02",
                "messages_2026_03",
                "messages_2026_04",
                "deliveries_2026_01_31",
            ]
        );
        assert_eq!(names.len(), 5 + 8 + 5);
        assert_eq!(names[13], "search_parts_2025_12");
        assert_eq!(wanted[1].to, NaiveDate::from_ymd_opt(2026, 2, 1).unwrap());
    }
}
