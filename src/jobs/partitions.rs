//! Creates partitions in advance: months of messages and of search documents, days of the log of
//! deliveries.
//!
//! It also updates the BRIN indexes of the log of deliveries, which do not cover new rows by
//! themselves.
//!
//! A row without a matching partition is stored in the default partition, so a late job rejects
//! nothing. A new partition receives such rows when it is created.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// Interval of the job. Partitions are created days ahead, so it may fail for days.
const INTERVAL: Duration = Duration::from_hours(1);
/// Limit of a run, including moving rows out of the default partition. The drain waits for the
/// first run, and a network that drops all packets would block it for ever.
const DEADLINE: Duration = Duration::from_mins(1);
/// Months of messages and search documents: the previous one, for late arrivals, and the next ones.
const MONTHS: std::ops::RangeInclusive<i32> = -1..=3;
/// Number of future days of the log of deliveries.
const DAYS: u64 = 7;

/// Required partition for `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    pub(super) name: String,
    pub(super) from: NaiveDate,
    pub(super) to: NaiveDate,
}

/// Runs at intervals until the service stops.
pub async fn run(pool: PgPool, clock: Clock, life: Lifecycle) {
    while !life.is_stopping() {
        attempt(&pool, &clock).await;
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Runs once. Logs an error, and the next run tries again.
pub async fn attempt(pool: &PgPool, clock: &Clock) {
    let error = match tokio::time::timeout(DEADLINE, run_once(pool, clock.now())).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("Postgres did not answer within {} s", DEADLINE.as_secs()),
    };
    tracing::warn!(error, "partitions not created; rows go to the default partitions");
}

/// Creates the missing partitions, each in a separate transaction.
pub async fn run_once(pool: &PgPool, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    // Detached from the pool, so that the connection is closed if the future is dropped.
    let mut connection = pool.acquire().await?.detach();
    for partition in required(now.date_naive()) {
        create_if_missing(&mut connection, &partition).await?;
    }
    summarise(&mut connection).await?;
    connection.close().await
}

/// Updates the BRIN indexes of the log of deliveries with the rows since the last run. Without it,
/// each search for a session would scan those rows.
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

/// Returns the names of the missing partitions without creating them.
pub async fn missing(pool: &PgPool, now: DateTime<Utc>) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut missing = Vec::new();
    for partition in required(now.date_naive()) {
        if !exists(&mut connection, &partition.name).await? {
            missing.push(partition.name);
        }
    }
    Ok(missing)
}

async fn create_if_missing(
    connection: &mut PgConnection,
    partition: &Partition,
) -> Result<(), sqlx::Error> {
    let Partition { name, .. } = partition;
    if exists(connection, name).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Several services may run at the same time; the later one finds the partition. The drain must
    // not wait for long, so this has a lock timeout, and the next run tries again.
    lock(&mut transaction).await?;
    if exists(&mut transaction, name).await? {
        return transaction.commit().await;
    }
    attach(&mut transaction, partition).await?;
    transaction.commit().await
}

/// Prevents other services from changing partitions until the end of the transaction. Limits the
/// wait for a lock, and the time for which locks are held after a network failure.
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

/// Creates a partition, and moves its rows out of the default partition.
pub(super) async fn attach(
    connection: &mut PgConnection,
    partition: &Partition,
) -> Result<(), sqlx::Error> {
    let Partition { table, column, name, from, to } = partition;
    // Every part is a constant or a formatted date.
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

fn required(today: NaiveDate) -> Vec<Partition> {
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
    fn months_around_and_days_ahead_are_required() {
        let required = required(NaiveDate::from_ymd_opt(2026, 1, 31).unwrap());
        let names: Vec<&str> = required.iter().map(|partition| partition.name.as_str()).collect();
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
        assert_eq!(required[1].to, NaiveDate::from_ymd_opt(2026, 2, 1).unwrap());
    }
}
