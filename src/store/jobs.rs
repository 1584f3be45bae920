//! Jobs: work that a request starts and does not wait for. One service at a time runs a job. Its
//! progress is in the database, so another service can continue it.

mod work;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{Connection as _, query, query_as, query_scalar};
use uuid::Uuid;

pub use work::REPORTS_COUNT_FOR;

use super::deliveries::DeliveryFilter;
use super::page::{Order, PageRequest, Position};
use super::{Store, StoreError};
use crate::domain::Outcome;

/// Most waiting and running jobs that a key can see.
pub const MAX_OPEN: i64 = 10;

/// Selects the quarantined deliveries that a job retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryFilter {
    /// Only deliveries of these agents; `None` is all deliveries, with or without an agent.
    pub agents: Option<Vec<String>>,
    /// Only deliveries of sessions with this ID.
    pub session_id: Option<String>,
    /// Only deliveries of this source.
    pub source: Option<String>,
    /// Only this event type.
    pub event_type: Option<String>,
    /// Only deliveries whose reason contains this text.
    pub reason: Option<String>,
    /// Only later arrivals.
    pub received_after: Option<DateTime<Utc>>,
    /// Only earlier arrivals.
    pub received_before: Option<DateTime<Utc>>,
}

impl From<DeliveryFilter> for RetryFilter {
    fn from(filter: DeliveryFilter) -> Self {
        Self {
            agents: filter.agents,
            session_id: filter.session_id,
            source: filter.source,
            event_type: filter.event_type,
            reason: filter.reason,
            received_after: filter.received_after,
            received_before: filter.received_before,
        }
    }
}

impl From<RetryFilter> for DeliveryFilter {
    fn from(filter: RetryFilter) -> Self {
        Self {
            agents: filter.agents,
            session_id: filter.session_id,
            until_full: true,
            outcomes: Some(vec![Outcome::Quarantined]),
            source: filter.source,
            event_type: filter.event_type,
            reason: filter.reason,
            received_after: filter.received_after,
            received_before: filter.received_before,
        }
    }
}

/// New job.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Job ID.
    pub id: Uuid,
    /// The requesting key; `None` is the key in the settings.
    pub key_id: Option<Uuid>,
    /// Agents visible to the key; `None` is every agent.
    pub agents: Option<Vec<String>>,
    /// Deliveries to retry.
    pub filter: RetryFilter,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
}

/// Progress of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Deliveries that matched when the job started; `None` before that.
    pub total: Option<i64>,
    /// Deliveries retried.
    pub done: i64,
    /// Retried deliveries that left quarantine.
    pub stored: i64,
    /// Retried deliveries that stayed in quarantine.
    pub still_quarantined: i64,
    /// Reason of the last delivery that stayed.
    pub last_error: Option<String>,
    /// Position of the last retried delivery.
    pub reached: Option<Position>,
}

/// Stored job.
#[derive(Clone, Debug)]
pub struct JobRow {
    /// Job ID.
    pub id: Uuid,
    /// Kind of the work.
    pub kind: String,
    /// `waiting`, `running`, `finished` or `cancelled`.
    pub state: String,
    /// Filter of the deliveries, as JSON.
    pub filter: String,
    /// Time of the request.
    pub created_at: DateTime<Utc>,
    /// Start of the work.
    pub started_at: Option<DateTime<Utc>>,
    /// End of the work.
    pub finished_at: Option<DateTime<Utc>>,
    total: Option<i64>,
    done: i64,
    stored: i64,
    still_quarantined: i64,
    last_error: Option<String>,
    reached_at: Option<DateTime<Utc>>,
    reached_id: Option<Uuid>,
}

impl JobRow {
    /// Returns the progress.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            total: self.total,
            done: self.done,
            stored: self.stored,
            still_quarantined: self.still_quarantined,
            last_error: self.last_error.clone(),
            reached: self.reached_at.zip(self.reached_id).map(|(at, key)| Position { at, key }),
        }
    }
}

/// Result of a cancellation.
#[derive(Clone, Debug)]
pub enum Cancelled {
    /// Cancelled by this request.
    Yes(JobRow),
    /// Already ended.
    Over(JobRow),
    /// No such job is visible to the caller.
    NotFound,
}

/// Selects jobs. Arguments: the rest of the query after the column list, and its parameters.
macro_rules! select_jobs {
    ($rest:tt $(, $parameter:expr)* $(,)?) => {
        query_as!(
            JobRow,
            r#"
            SELECT
                id, kind, state, filter, created_at, started_at, finished_at, total, done, stored,
                still_quarantined, last_error, reached_at, reached_id
            FROM jobs
            "# + $rest,
            $($parameter),*
        )
    };
}

impl Store {
    /// Counts the quarantined deliveries that match a filter and arrived `after` another one, up to
    /// `most`.
    pub async fn count_quarantined(
        &self,
        filter: &RetryFilter,
        after: Option<&Position>,
        most: i64,
    ) -> Result<i64, StoreError> {
        let sessions = match &filter.session_id {
            Some(name) => Some(self.sessions_called(name, filter.agents.as_deref()).await?),
            None => None,
        };
        let count = query_scalar!(
            r#"
            SELECT count(*) AS "count!"
            FROM (
                SELECT
                FROM deliveries
                WHERE outcome = 'quarantined'
                    AND outcome <> 'stored'
                    AND ($1::timestamptz IS NULL OR received_at > $1)
                    AND ($2::timestamptz IS NULL OR received_at < $2)
                    AND ($3::text[] IS NULL OR agent_id = ANY ($3))
                    AND ($4::text IS NULL OR source = $4)
                    AND ($5::text IS NULL OR event_type = $5)
                    AND ($6::text IS NULL OR position($6 IN reason) > 0)
                    AND ($7::uuid[] IS NULL OR session_id = ANY ($7))
                    AND ($9::timestamptz IS NULL OR (received_at, id) > ($9, $10))
                LIMIT $8
            ) AS counted
            "#,
            filter.received_after,
            filter.received_before,
            filter.agents.as_deref(),
            filter.source.as_deref(),
            filter.event_type.as_deref(),
            filter.reason.as_deref(),
            sessions.as_deref(),
            most,
            after.map(|after| after.at),
            after.map(|after| after.key)
        );
        Ok(count.fetch_one(&self.pool).await?)
    }

    /// Inserts a waiting job; returns `false` if too many are open. Jobs that its key cannot see
    /// are not counted, since the key would learn of them.
    pub async fn insert_job(&self, job: &NewJob) -> Result<bool, StoreError> {
        let filter = serde_json::to_string(&job.filter).unwrap_or_default();
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        // Two concurrent requests would both see room for the last job.
        sqlx::raw_sql("SELECT pg_advisory_xact_lock(hashtext('verbatim jobs'))")
            .execute(&mut *transaction)
            .await?;
        let done = query!(
            "INSERT INTO jobs (id, kind, key_id, agents, filter, created_at, state)
             SELECT $1, 'retry_deliveries', $2, $3, $4, $5, 'waiting'
             WHERE (
                 SELECT count(*)
                 FROM jobs
                 WHERE state IN ('waiting', 'running')
                     AND ($3::text[] IS NULL OR agents <@ $3)
             ) < $6",
            job.id,
            job.key_id,
            job.agents.as_deref() as _,
            filter,
            job.created_at,
            MAX_OPEN
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(done.rows_affected() > 0)
    }

    /// Cancels a job that has not ended.
    pub async fn cancel_job(
        &self,
        id: Uuid,
        visible: Option<&[String]>,
        now: DateTime<Utc>,
    ) -> Result<Cancelled, StoreError> {
        let done = query!(
            "UPDATE jobs
             SET state = 'cancelled', finished_at = $3
             WHERE id = $1
                 AND state IN ('waiting', 'running')
                 AND ($2::text[] IS NULL OR agents <@ $2)",
            id,
            visible,
            now
        )
        .execute(&self.pool)
        .await?;
        Ok(match self.find_job(id, visible).await? {
            None => Cancelled::NotFound,
            Some(job) if done.rows_affected() > 0 => Cancelled::Yes(job),
            Some(job) => Cancelled::Over(job),
        })
    }

    /// Finds a job whose requesting key saw no agents besides `visible`.
    pub async fn find_job(
        &self,
        id: Uuid,
        visible: Option<&[String]>,
    ) -> Result<Option<JobRow>, StoreError> {
        let job =
            select_jobs!("WHERE id = $1 AND ($2::text[] IS NULL OR agents <@ $2)", id, visible);
        Ok(job.fetch_optional(&self.pool).await?)
    }

    /// Lists jobs by creation time.
    pub async fn list_jobs(
        &self,
        visible: Option<&[String]>,
        page: &PageRequest,
    ) -> Result<Vec<JobRow>, StoreError> {
        let (start_at, start_id) = page.start();
        let limit = i64::from(page.limit);
        let rows = match page.order {
            Order::Desc => {
                select_jobs!(
                    "WHERE (created_at, id) < ($1, $2) AND ($3::text[] IS NULL OR agents <@ $3)
                     ORDER BY created_at DESC, id DESC
                     LIMIT $4",
                    start_at,
                    start_id,
                    visible,
                    limit
                )
                .fetch_all(&self.pool)
                .await
            }
            Order::Asc => {
                select_jobs!(
                    "WHERE (created_at, id) > ($1, $2) AND ($3::text[] IS NULL OR agents <@ $3)
                     ORDER BY created_at, id
                     LIMIT $4",
                    start_at,
                    start_id,
                    visible,
                    limit
                )
                .fetch_all(&self.pool)
                .await
            }
        };
        Ok(rows?)
    }
}
