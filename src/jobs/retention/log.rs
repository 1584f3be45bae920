//! Retention of the log of deliveries: drops expired days as whole partitions.
//!
//! Deliveries in quarantine are stored nowhere else, so they are kept several times longer, in a
//! separate partition. Both their move and their deletion are logged. Held deliveries are moved
//! with them, and stay.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use crate::jobs::partitions::{self, Partition};
use crate::store::PATIENT;

/// Deliveries in quarantine are kept this many times longer than others.
pub const QUARANTINE_FACTOR: i32 = 3;
/// Most rows that are moved or deleted in one transaction: fast even with 1 MiB each.
pub const BATCH_ROWS: i64 = 100;
/// Condition of held deliveries, by their session or agent.
const HELD: &str = "(EXISTS (SELECT FROM holds WHERE holds.session_id = d.session_id)
    OR EXISTS (SELECT FROM holds WHERE holds.session_id IS NULL AND holds.agent_id = d.agent_id))";
/// Suffix of a partition that contains only deliveries in quarantine.
const QUARANTINE: &str = "_quarantine";
/// Suffix of a detached partition, which is dropped after its quarantine has been moved.
const DROPPED: &str = "_dropped";

/// Outcome of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// Days that were dropped, or of which only the quarantine is left.
    pub days: u64,
    /// Rows deleted from the default partition.
    pub strays: u64,
    /// Deliveries in quarantine that were kept when their day was dropped.
    pub quarantined_kept: u64,
    /// Deliveries in quarantine that were deleted.
    pub quarantined_lost: u64,
}

/// Partition of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Day {
    name: String,
    from: NaiveDate,
    to: NaiveDate,
    /// It contains only the quarantine.
    swept: bool,
}

/// Drops deliveries older than `keep`. Does nothing while another service does it.
pub async fn run_once(
    pool: &PgPool,
    now: DateTime<Utc>,
    keep: Duration,
) -> Result<LogReport, sqlx::Error> {
    // Detached from the pool, so that closing the connection releases the lock in any case.
    let mut connection = pool.acquire().await?.detach();
    let mine: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('verbatim retention'))")
            .fetch_one(&mut connection)
            .await?;
    sqlx::raw_sql(PATIENT).execute(&mut connection).await?;
    let swept = if mine { sweep(&mut connection, now, keep).await? } else { LogReport::default() };
    connection.close().await?;
    Ok(swept)
}

async fn sweep(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    keep: Duration,
) -> Result<LogReport, sqlx::Error> {
    let (oldest, oldest_quarantined) = (now - keep, now - keep * QUARANTINE_FACTOR.unsigned_abs());
    let mut swept = LogReport::default();
    // Finish an interrupted run.
    for name in detached_tables(connection).await? {
        swept.quarantined_kept += move_quarantine_and_drop(connection, &name).await?;
    }
    delete_default_rows(connection, oldest, oldest_quarantined, &mut swept).await?;
    for day in days(connection).await? {
        if day.is_before(oldest_quarantined) {
            swept.quarantined_lost += drop_whole(connection, &day).await?;
            swept.days += 1;
        } else if day.is_before(oldest) && !day.swept {
            swept.quarantined_kept += drop_but_quarantine(connection, &day).await?;
            swept.days += 1;
        }
    }
    swept.log();
    Ok(swept)
}

impl LogReport {
    fn log(self) {
        let Self { days, strays, quarantined_kept, quarantined_lost } = self;
        if days + strays > 0 {
            tracing::info!(days, default_rows = strays, "expired deliveries dropped from the log");
        }
        if quarantined_kept > 0 {
            tracing::warn!(
                deliveries = quarantined_kept,
                "expired deliveries kept in quarantine; they are dropped after {QUARANTINE_FACTOR} \
                 times the retention. List them with GET /v1/deliveries?outcome=quarantined, and \
                 retry them"
            );
        }
        if quarantined_lost > 0 {
            tracing::warn!(
                deliveries = quarantined_lost,
                "expired deliveries dropped from quarantine"
            );
        }
    }
}

impl Day {
    /// Parses the name of a partition; returns `None` if it is not one of ours.
    fn parse(name: &str) -> Option<Self> {
        let (date, rest) =
            name.strip_prefix("deliveries_")?.split_at_checked("2026_11_23".len())?;
        let from = NaiveDate::parse_from_str(date, "%Y_%m_%d").ok()?;
        let swept = match rest {
            "" => false,
            QUARANTINE => true,
            _ => return None,
        };
        Some(Self { name: name.to_owned(), from, to: from.succ_opt()?, swept })
    }

    /// Returns `true` if the whole day is before `at`.
    fn is_before(&self, at: DateTime<Utc>) -> bool {
        self.to.and_time(NaiveTime::MIN).and_utc() <= at
    }
}

async fn days(connection: &mut PgConnection) -> Result<Vec<Day>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text
         FROM pg_inherits
         JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'deliveries'::regclass
         ORDER BY relname",
    )
    .fetch_all(connection)
    .await?;
    Ok(names.iter().filter_map(|name| Day::parse(name)).collect())
}

/// Drops a day with its quarantine, and returns the number of deliveries in quarantine. Keeps held
/// deliveries.
async fn drop_whole(connection: &mut PgConnection, day: &Day) -> Result<u64, sqlx::Error> {
    let name = &day.name;
    if has_any(connection, name, HELD).await? {
        return delete_unless_held(connection, name).await;
    }
    let lost: i64 = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT count(*) FROM {name} WHERE outcome = 'quarantined'"
    )))
    .fetch_one(&mut *connection)
    .await?;
    let mut transaction = connection.begin().await?;
    partitions::lock(&mut transaction).await?;
    execute(&mut transaction, &format!("DROP TABLE {name}")).await?;
    transaction.commit().await?;
    Ok(lost.unsigned_abs())
}

/// Drops a day except its quarantine and held deliveries, and returns the number of rows kept.
///
/// Writers wait only while the day is detached. The rows to keep are moved afterwards, in batches.
async fn drop_but_quarantine(connection: &mut PgConnection, day: &Day) -> Result<u64, sqlx::Error> {
    let name = &day.name;
    // This reads the whole day, so it runs before the lock. Rows that arrive in between are moved
    // with the rest, or to the default partition if the day has none any more.
    let keeps = has_any(connection, name, &kept_condition()).await?;
    let mut transaction = connection.begin().await?;
    partitions::lock(&mut transaction).await?;
    execute(&mut transaction, &format!("ALTER TABLE deliveries DETACH PARTITION {name}")).await?;
    let aside = format!("{name}{DROPPED}");
    execute(&mut transaction, &format!("ALTER TABLE {name} RENAME TO {aside}")).await?;
    if keeps {
        let quarantine = Partition {
            table: "deliveries",
            column: "received_at",
            name: format!("{name}{QUARANTINE}"),
            from: day.from,
            to: day.to,
        };
        partitions::attach(&mut transaction, &quarantine).await?;
    }
    transaction.commit().await?;
    move_quarantine_and_drop(connection, &aside).await
}

/// Returns the detached partitions that have not been dropped yet.
async fn detached_tables(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text
         FROM pg_class
         WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'deliveries'::regclass)
             AND relkind = 'r'
             AND NOT relispartition
             AND starts_with(relname, 'deliveries_')
         ORDER BY relname",
    )
    .fetch_all(connection)
    .await?;
    let ours =
        |name: &String| name.strip_suffix(DROPPED).is_some_and(|day| Day::parse(day).is_some());
    Ok(names.into_iter().filter(ours).collect())
}

/// Moves the rows to keep back to the log, drops the table, and returns the number of moved rows.
async fn move_quarantine_and_drop(
    connection: &mut PgConnection,
    name: &str,
) -> Result<u64, sqlx::Error> {
    let kept = kept_condition();
    let batch = format!(
        "WITH moved AS (
             DELETE FROM {name}
             WHERE ctid = ANY (ARRAY(
                 SELECT ctid FROM {name} AS d WHERE {kept} LIMIT {BATCH_ROWS}
             ))
             RETURNING *
         )
         INSERT INTO deliveries SELECT * FROM moved"
    );
    let mut moved = 0;
    loop {
        match execute(connection, &batch).await? {
            0 => break,
            rows => moved += rows,
        }
    }
    // Nobody else writes to it: it is detached, and only one service at a time holds the lock.
    execute(connection, &format!("DROP TABLE {name}")).await?;
    Ok(moved)
}

/// Condition of deliveries that are kept when their day is dropped.
fn kept_condition() -> String {
    format!("(outcome = 'quarantined' OR {HELD})")
}

async fn has_any(
    connection: &mut PgConnection,
    name: &str,
    condition: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT EXISTS (SELECT FROM {name} AS d WHERE {condition})"
    )))
    .fetch_one(connection)
    .await
}

/// Deletes the deliveries of a day that are not held, and returns how many were in quarantine.
async fn delete_unless_held(connection: &mut PgConnection, name: &str) -> Result<u64, sqlx::Error> {
    let batch = format!(
        "DELETE FROM {name}
         WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM {name} AS d WHERE NOT {HELD} LIMIT {BATCH_ROWS}
         ))
         RETURNING outcome = 'quarantined'"
    );
    let mut lost = 0;
    loop {
        let deleted: Vec<bool> =
            sqlx::query_scalar(AssertSqlSafe(batch.clone())).fetch_all(&mut *connection).await?;
        if deleted.is_empty() {
            return Ok(lost);
        }
        lost += deleted.iter().filter(|quarantined| **quarantined).count() as u64;
    }
}

/// Deletes expired rows of the default partition, such as deliveries drained long after they
/// arrived.
async fn delete_default_rows(
    connection: &mut PgConnection,
    oldest: DateTime<Utc>,
    oldest_quarantined: DateTime<Utc>,
    swept: &mut LogReport,
) -> Result<(), sqlx::Error> {
    loop {
        let deleted: Vec<bool> = sqlx::query_scalar(AssertSqlSafe(format!(
            "DELETE FROM deliveries_default
             WHERE ctid = ANY (ARRAY(
                 SELECT ctid
                 FROM deliveries_default AS d
                 WHERE received_at < $1 AND (outcome <> 'quarantined' OR received_at < $2)
                     AND NOT {HELD}
                 LIMIT $3
             ))
             RETURNING outcome = 'quarantined'",
        )))
        .bind(oldest)
        .bind(oldest_quarantined)
        .bind(BATCH_ROWS)
        .fetch_all(&mut *connection)
        .await?;
        if deleted.is_empty() {
            return Ok(());
        }
        swept.strays += deleted.len() as u64;
        swept.quarantined_lost += deleted.iter().filter(|quarantined| **quarantined).count() as u64;
    }
}

/// Runs a statement made of constants and parsed names, and returns the number of affected rows.
async fn execute(connection: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_is_parsed_from_the_name_of_its_partition() {
        let day = Day::parse("deliveries_2026_02_28").unwrap();
        assert_eq!((day.to, day.swept), (NaiveDate::from_ymd_opt(2026, 3, 1).unwrap(), false));
        assert!(Day::parse("deliveries_2026_02_28_quarantine").unwrap().swept);
        for other in [
            "deliveries",
            "deliveries_default",
            "deliveries_2026_02_30",
            "deliveries_2026_02_28_dropped",
            "deliveries_2026_02_28; DROP TABLE keys",
            "messages_2026_02_28",
        ] {
            assert_eq!(Day::parse(other), None, "{other}");
        }
        let midnight = |date: &str| format!("{date}T00:00:00Z").parse::<DateTime<Utc>>().unwrap();
        assert!(day.is_before(midnight("2026-03-01")));
        assert!(!day.is_before(midnight("2026-02-28")));
    }
}
