//! Figures that alerts need and the catalogue does not have.

use chrono::{DateTime, TimeDelta, Utc};

use crate::store::{Store, StoreError};

/// An event before an hour is looked for so far back; a silence is no longer than this.
const LONGEST_SILENCE: TimeDelta = TimeDelta::days(7);

impl Store {
    /// Returns the time of the latest event of these agents.
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

    /// Returns the time from which on there are figures of these agents: since their first event, as
    /// far as retention has left it.
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

    /// Returns the longest silence of these agents that a range saw, in seconds: from an event in it
    /// or before it to the next one, or to its end. `None` where they had no event for days.
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
            from - LONGEST_SILENCE
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(longest)
    }
}
