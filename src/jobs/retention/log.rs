//! How long the log of deliveries is kept: days that are over age are dropped whole.
//!
//! What lies in quarantine has been stored nowhere else, so it outlives its day: it moves to a
//! partition of its own, and is dropped only after several times that age. The log says both. What
//! is held goes there with it, and stays.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, PgPool};

use crate::jobs::partitions::{self, Partition};
use crate::store::PATIENT;

/// What lies in quarantine is kept for so many times the age of the rest.
pub const QUARANTINE_FACTOR: i32 = 3;
/// Rows that are moved or deleted in one transaction: with 1 MiB each still a moment's work.
pub const BATCH_ROWS: i64 = 100;
/// What is held, by its session or its agent.
const HELD: &str = "(EXISTS (SELECT FROM holds WHERE holds.session_id = d.session_id)
    OR EXISTS (SELECT FROM holds WHERE holds.session_id IS NULL AND holds.agent_id = d.agent_id))";
/// Ends the name of a partition that holds only what lay in quarantine.
const QUARANTINE: &str = "_quarantine";
/// Ends the name of a table that was a partition, and is dropped once its quarantine is moved.
const DROPPED: &str = "_dropped";

/// What one look has dropped and kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Days of which no partition is left, or only that of its quarantine.
    pub days: u64,
    /// Rows of the default partition that were deleted.
    pub strays: u64,
    /// Deliveries in quarantine that outlive their day.
    pub quarantined_kept: u64,
    /// Deliveries in quarantine that are gone.
    pub quarantined_lost: u64,
}

/// A day's partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Day {
    name: String,
    from: NaiveDate,
    to: NaiveDate,
    /// Only its quarantine is left.
    swept: bool,
}

/// Drops what is older than `keep`. Where another service is at it, this one leaves it to that.
pub async fn run_once(
    pool: &PgPool,
    now: DateTime<Utc>,
    keep: Duration,
) -> Result<Swept, sqlx::Error> {
    // Out of the pool, so that the lock goes with the connection, however this ends.
    let mut connection = pool.acquire().await?.detach();
    let mine: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext('verbatim retention'))")
            .fetch_one(&mut connection)
            .await?;
    sqlx::raw_sql(PATIENT).execute(&mut connection).await?;
    let swept = if mine { sweep(&mut connection, now, keep).await? } else { Swept::default() };
    connection.close().await?;
    Ok(swept)
}

async fn sweep(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    keep: Duration,
) -> Result<Swept, sqlx::Error> {
    let (oldest, oldest_quarantined) = (now - keep, now - keep * QUARANTINE_FACTOR.unsigned_abs());
    let mut swept = Swept::default();
    // What an earlier look left half done.
    for name in set_aside(connection).await? {
        swept.quarantined_kept += empty(connection, &name).await?;
    }
    delete_strays(connection, oldest, oldest_quarantined, &mut swept).await?;
    for day in days(connection).await? {
        if day.is_before(oldest_quarantined) {
            swept.quarantined_lost += drop_whole(connection, &day).await?;
            swept.days += 1;
        } else if day.is_before(oldest) && !day.swept {
            swept.quarantined_kept += drop_but_quarantine(connection, &day).await?;
            swept.days += 1;
        }
    }
    swept.tell();
    Ok(swept)
}

impl Swept {
    fn tell(self) {
        let Self { days, strays, quarantined_kept, quarantined_lost } = self;
        if days + strays > 0 {
            tracing::info!(days, strays, "dropped old days of the log of deliveries");
        }
        if quarantined_kept > 0 {
            tracing::warn!(
                deliveries = quarantined_kept,
                "deliveries in quarantine have outlived the log; they are dropped when they are \
                 {QUARANTINE_FACTOR} times as old. See GET /v1/deliveries?outcome=quarantined, and \
                 retry them"
            );
        }
        if quarantined_lost > 0 {
            tracing::warn!(
                deliveries = quarantined_lost,
                "deliveries that nobody took out of quarantine were dropped"
            );
        }
    }
}

impl Day {
    /// The day of a partition that is named as we name them.
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

    /// All of it is.
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

/// Drops a day with all that is in it, and gives how much of that lay in quarantine.
async fn drop_whole(connection: &mut PgConnection, day: &Day) -> Result<u64, sqlx::Error> {
    let name = &day.name;
    if has_any(connection, name, HELD).await? {
        return delete_but_held(connection, name).await;
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

/// Drops a day but for what lies in quarantine, and gives how much that is.
///
/// Writers wait for as long as the day is exchanged for an empty one, and no longer: its quarantine
/// is moved afterwards, in batches, be it one row or a million.
async fn drop_but_quarantine(connection: &mut PgConnection, day: &Day) -> Result<u64, sqlx::Error> {
    let name = &day.name;
    // All of the day is read for it, so before the lock and not under it. What comes to it in
    // between is moved with the rest, to the strays where the day has no partition any more.
    let keeps = has_any(connection, name, &kept()).await?;
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
    empty(connection, &aside).await
}

/// Tables that are no partitions any more and wait to be dropped.
async fn set_aside(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
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

/// Moves what lay in quarantine back to the log, drops the rest, and gives how much was moved.
async fn empty(connection: &mut PgConnection, name: &str) -> Result<u64, sqlx::Error> {
    let kept = kept();
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
    // Nobody else writes to it: it is no partition, and one service at a time is here.
    execute(connection, &format!("DROP TABLE {name}")).await?;
    Ok(moved)
}

/// What outlives its day.
fn kept() -> String {
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

/// Deletes what of a day is not held, and gives how much of that lay in quarantine.
async fn delete_but_held(connection: &mut PgConnection, name: &str) -> Result<u64, sqlx::Error> {
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

/// Deletes what has no partition of its own, such as what was drained long after it arrived.
async fn delete_strays(
    connection: &mut PgConnection,
    oldest: DateTime<Utc>,
    oldest_quarantined: DateTime<Utc>,
    swept: &mut Swept,
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

/// Runs a statement that is made of constants and of names that were parsed; gives the rows.
async fn execute(connection: &mut PgConnection, sql: &str) -> Result<u64, sqlx::Error> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_known_by_the_name_of_its_partition() {
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
