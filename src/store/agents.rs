//! Agents and their figures, which ingest maintains.

use chrono::{DateTime, Utc};
use sqlx::query_as;

use super::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest};
use super::{Store, StoreError};

/// Agent with its figures.
#[derive(Clone, Debug)]
pub struct AgentRow {
    /// Sender's agent ID.
    pub agent_id: String,
    /// Number of sessions.
    pub session_count: i64,
    /// Number of messages.
    pub message_count: i64,
    /// Time of the earliest event.
    pub first_seen_at: DateTime<Utc>,
    /// Time of the latest event.
    pub last_activity_at: DateTime<Utc>,
}

/// Lists agents. Their number is small enough to sort.
macro_rules! list_agents {
    ($order:tt, $beyond:tt, $first:expr, $store:ident, $visible:ident, $page:ident) => {
        query_as!(
            AgentRow,
            r#"
            SELECT
                agent_id,
                session_count,
                message_count,
                first_seen_at,
                last_activity_at
            FROM agents
            WHERE ($1::text[] IS NULL OR agent_id = ANY ($1))
                AND ($3::text IS NULL AND last_activity_at "#
                + $beyond
                + r#" $2
                    OR (last_activity_at, agent_id) "#
                + $beyond
                + r#" ($2, $3))
            ORDER BY last_activity_at "#
                + $order
                + r#", agent_id "#
                + $order
                + r#"
            LIMIT $4
            "#,
            $visible,
            $page.after.as_ref().map_or($first, |position| position.at),
            $page.after.as_ref().map(|position| position.key.as_str()),
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    };
}

impl Store {
    /// Lists `visible` agents by their last activity.
    pub async fn list_agents(
        &self,
        visible: Option<&[String]>,
        page: &PageRequest<String>,
    ) -> Result<Vec<AgentRow>, StoreError> {
        let rows = match page.order {
            Order::Desc => list_agents!("DESC", "<", AFTER_ALL, self, visible, page),
            Order::Asc => list_agents!("ASC", ">", BEFORE_ALL, self, visible, page),
        };
        Ok(rows?)
    }

    /// Finds an agent.
    pub async fn find_agent(&self, agent_id: &str) -> Result<Option<AgentRow>, StoreError> {
        let row = query_as!(
            AgentRow,
            r#"
            SELECT
                agent_id,
                session_count,
                message_count,
                first_seen_at,
                last_activity_at
            FROM agents
            WHERE agent_id = $1
            "#,
            agent_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row)
    }
}
