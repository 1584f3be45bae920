//! Recomputes facts in batches of sessions, and then activity day by day. The follower and erasures
//! wait for one step at most.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Postgres, Transaction};
use uuid::Uuid;

use super::activity::Difference;
use super::windows::Windows;
use super::{FactRules, LOCK_FACTS, delete, messages, presence, sessions, totals, visits};
use crate::store::AFTER_ALL;

/// Sessions in one step.
const BATCH_SESSIONS: i64 = 100;
/// Period whose activity is computed in one step.
const STEP: TimeDelta = TimeDelta::days(1);
/// The lock comes before the snapshot: see [`LOCK_FACTS`].
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ";

/// Outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Done up to here.
    Done(T),
    /// No session or day was left.
    Finished,
    /// No change: facts are maintained under other rules.
    OtherRules,
}

/// Recomputes the facts of the next sessions in the order of their IDs, and deletes those of
/// deleted sessions. Returns the last session and their number.
pub async fn rebuild_sessions(
    connection: &mut PgConnection,
    rules: &FactRules,
    after: Uuid,
) -> Result<Step<(Uuid, usize)>, sqlx::Error> {
    let Some(mut transaction) = begin(connection, rules).await? else {
        return Ok(Step::OtherRules);
    };
    // Includes deleted sessions that still have facts.
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id!"
         FROM (
             (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2)
             UNION
             (SELECT session_id FROM session_facts WHERE session_id > $1 ORDER BY 1 LIMIT $2)
             UNION
             (SELECT DISTINCT session_id FROM message_facts WHERE session_id > $1 ORDER BY 1 LIMIT $2)
             UNION
             (SELECT DISTINCT session_id FROM presence_facts WHERE session_id > $1 ORDER BY 1 LIMIT $2)
             UNION
             (SELECT DISTINCT session_id FROM visit_facts WHERE session_id > $1 ORDER BY 1 LIMIT $2)
         ) AS s
         ORDER BY id
         LIMIT $2"#,
        after,
        BATCH_SESSIONS,
    )
    .fetch_all(&mut *transaction)
    .await?;
    let Some(last) = ids.last().copied() else {
        transaction.rollback().await?;
        return Ok(Step::Finished);
    };
    let count = ids.len();
    let sessions = sessions::read(&mut transaction, &ids).await?;
    let gone: Vec<Uuid> = ids.into_iter().filter(|id| !sessions.contains_key(id)).collect();
    let mut difference = Difference::default();
    delete::delete(&mut transaction, &gone, &mut difference).await?;
    let joins = presence::refresh(&mut transaction, &sessions, &mut BTreeMap::new()).await?;
    let windows = Windows::whole(&sessions);
    messages::refresh(&mut transaction, rules, &sessions, windows, &joins, &mut difference).await?;
    totals::refresh(&mut transaction, &sessions, &mut difference).await?;
    visits::refresh(&mut transaction, &sessions.keys().copied().collect::<Vec<_>>()).await?;
    difference.write(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Step::Done((last, count)))
}

/// Recomputes the activity of the first day with facts after a time. Returns the end of that day.
pub async fn rebuild_activity(
    connection: &mut PgConnection,
    rules: &FactRules,
    after: DateTime<Utc>,
) -> Result<Step<DateTime<Utc>>, sqlx::Error> {
    let Some(mut transaction) = begin(connection, rules).await? else {
        return Ok(Step::OtherRules);
    };
    let first = sqlx::query_scalar!(
        r#"SELECT date_bin('1 day', LEAST(
             (SELECT min(started_at) FROM session_facts WHERE started_at >= $1),
             (SELECT min(occurred_at) FROM message_facts WHERE occurred_at >= $1),
             (SELECT min(visit_started_at) FROM message_facts WHERE visit_started_at >= $1)
         ), '2000-01-01T00:00:00Z')"#,
        after,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let end = first.map_or(AFTER_ALL, |first| first + STEP);
    sqlx::query!("DELETE FROM activity WHERE starts_at >= $1 AND starts_at < $2", after, end)
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("DELETE FROM reply_gaps WHERE starts_at >= $1 AND starts_at < $2", after, end)
        .execute(&mut *transaction)
        .await?;
    if let Some(first) = first {
        sqlx::query!(
            "INSERT INTO reply_gaps SELECT * FROM reply_gaps_of_facts($1, $2)",
            first,
            end
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("INSERT INTO activity SELECT * FROM activity_of_facts($1, $2)", first, end)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(first.map_or(Step::Finished, |_| Step::Done(end)))
}

/// Begins a step; `None` if facts are maintained under other rules.
async fn begin<'a>(
    connection: &'a mut PgConnection,
    rules: &FactRules,
) -> Result<Option<Transaction<'a, Postgres>>, sqlx::Error> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    sqlx::raw_sql(LOCK_FACTS).execute(&mut *transaction).await?;
    let settings = sqlx::query_scalar!("SELECT settings FROM facts_position")
        .fetch_one(&mut *transaction)
        .await?;
    if settings == rules.fingerprint() {
        return Ok(Some(transaction));
    }
    transaction.rollback().await?;
    Ok(None)
}
