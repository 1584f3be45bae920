//! Drops empty months of `messages`.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use crate::store::erase::Tally;
use crate::store::{Store, StoreError};

impl Store {
    /// Drops months of `messages` that end before a time and are empty.
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
        // The partition job would create later ones again.
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

/// Returns the end of a partition's month, from its name.
fn month_end(name: &str) -> Option<DateTime<Utc>> {
    let month = name.strip_prefix("messages_")?;
    let from = NaiveDate::parse_from_str(&format!("{month}_01"), "%Y_%m_%d").ok()?;
    from.checked_add_months(Months::new(1)).map(midnight)
}

async fn drop_if_empty(connection: &mut PgConnection, name: &str) -> Result<u64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Short timeouts, as in the partition job, so the drain does not wait for long. The name is
    // safe in SQL: it was parsed.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "SET LOCAL lock_timeout = '2s';
         SET LOCAL idle_in_transaction_session_timeout = '10s';
         SELECT pg_advisory_xact_lock(hashtext('verbatim partitions'));
         LOCK TABLE ONLY messages, {name} IN ACCESS EXCLUSIVE MODE"
    )))
    .execute(&mut *transaction)
    .await?;
    let sql = format!("SELECT EXISTS (SELECT FROM {name})");
    let full: bool = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut *transaction).await?;
    if full {
        return Ok(0);
    }
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {name}"))).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(1)
}
