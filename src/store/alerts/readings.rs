//! Values that alerts need and the catalogue of metrics does not have.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::{Store, StoreError};

/// Longest silence that is measured: the event before a range is searched this far back.
const MAX_SILENCE: TimeDelta = TimeDelta::days(7);

impl Store {
    /// Returns the time of the latest event of these agents; `None` for `agents` is all.
    pub async fn last_activity(
        &self,
        agents: Option<&[String]>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let last = sqlx::query_scalar!(
            "SELECT max(last_activity_at)
             FROM agents
             WHERE $1::text[] IS NULL OR agent_id = ANY ($1)",
            agents as _
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(last)
    }

    /// Returns the time since which figures of these agents exist: their first event, or the oldest
    /// session that retention has left.
    pub async fn figures_since(
        &self,
        agents: Option<&[String]>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let since = sqlx::query_scalar!(
            "SELECT greatest(
                 (
                     SELECT min(first_seen_at)
                     FROM agents
                     WHERE $1::text[] IS NULL OR agent_id = ANY ($1)
                 ),
                 (SELECT min(started_at) FROM session_facts)
             )
             WHERE EXISTS (
                 SELECT FROM agents WHERE $1::text[] IS NULL OR agent_id = ANY ($1)
             )",
            agents as _
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(since.flatten())
    }

    /// Returns the longest silence of these agents in a range, in seconds: from an event in or
    /// before the range to the next event, or to the end of the range. Returns `None` if they had
    /// no event in the range and in [`MAX_SILENCE`] before it.
    pub async fn longest_silence(
        &self,
        agents: Option<&[String]>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<f64>, StoreError> {
        let longest = sqlx::query_scalar!(
            r#"WITH events AS (
                 SELECT occurred_at
                 FROM message_facts
                 WHERE occurred_at >= $2
                     AND occurred_at < $3
                     AND ($1::text[] IS NULL OR agent_id = ANY ($1))
                 UNION ALL
                 SELECT occurred_at
                 FROM presence_facts
                 WHERE occurred_at >= $2
                     AND occurred_at < $3
                     AND ($1::text[] IS NULL OR agent_id = ANY ($1))
                 UNION ALL
                 SELECT max(occurred_at)
                 FROM message_facts
                 WHERE occurred_at >= $4
                     AND occurred_at < $2
                     AND ($1::text[] IS NULL OR agent_id = ANY ($1))
                 UNION ALL
                 SELECT max(occurred_at)
                 FROM presence_facts
                 WHERE occurred_at >= $4
                     AND occurred_at < $2
                     AND ($1::text[] IS NULL OR agent_id = ANY ($1))
             ),
             gaps AS (
                 SELECT
                     lead(occurred_at, 1, $3) OVER (ORDER BY occurred_at) AS until,
                     occurred_at
                 FROM events
                 WHERE occurred_at IS NOT NULL
             )
             SELECT extract(epoch FROM max(until - occurred_at))::double precision
             FROM gaps
             WHERE until > $2"#,
            agents as _,
            from,
            to,
            from - MAX_SILENCE
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(longest)
    }
}
