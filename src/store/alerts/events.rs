//! Alert history: notifications and the state of their delivery.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use crate::store::page::{Order, PageRequest};
use crate::store::{Store, StoreError};

/// Notification, without its body.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Notification ID, which receivers get too.
    pub id: Uuid,
    /// Alert name.
    pub name: String,
    /// `firing` or `resolved`.
    pub kind: String,
    /// Time of the evaluation.
    pub at: DateTime<Utc>,
    /// Start of the period in which the condition holds or held.
    pub since: DateTime<Utc>,
    /// Measured value.
    pub value: f64,
    /// Normal value.
    pub normal: Option<f64>,
    /// Threshold of the rule.
    pub threshold: f64,
    /// Human-readable summary.
    pub summary: String,
    /// Agents of the rule.
    pub agent_ids: Option<Vec<String>>,
    /// Number of attempts to send it.
    pub attempts: i32,
    /// Time of the next attempt.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Time at which the receiver accepted it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Time at which sending was given up.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Error of the last attempt.
    pub last_error: Option<String>,
}

/// Reads a page of the history in one order.
macro_rules! page_of_events {
    ($order:tt, $beyond:tt, $store:ident, $visible:ident, $name:ident, $page:ident) => {{
        let (start_at, start_id) = $page.start();
        query_as!(
            EventRow,
            r#"
            SELECT
                id,
                name,
                kind,
                at,
                since,
                value,
                normal,
                threshold,
                summary,
                agent_ids,
                attempts,
                next_attempt_at,
                delivered_at,
                given_up_at,
                last_error
            FROM alert_events
            WHERE ($1::text[] IS NULL OR agent_ids <@ $1)
                AND ($2::text IS NULL OR name = $2)
                AND (at, id) "#
                + $beyond
                + r#" ($3, $4)
            ORDER BY at "#
                + $order
                + r#", id "#
                + $order
                + r#"
            LIMIT $5
            "#,
            $visible,
            $name,
            start_at,
            start_id,
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

impl Store {
    /// Returns a page of the history of alerts whose agents are all `visible`. A `name` restricts
    /// it to one alert.
    pub async fn list_alert_events(
        &self,
        visible: Option<&[String]>,
        name: Option<&str>,
        page: &PageRequest,
    ) -> Result<Vec<EventRow>, StoreError> {
        let rows = match page.order {
            Order::Desc => page_of_events!("DESC", "<", self, visible, name, page),
            Order::Asc => page_of_events!("ASC", ">", self, visible, name, page),
        };
        Ok(rows?)
    }

    /// Returns the latest notifications of each alert, at most `each`, newest first.
    pub async fn recent_alert_events(
        &self,
        visible: Option<&[String]>,
        names: &[String],
        each: i64,
    ) -> Result<Vec<EventRow>, StoreError> {
        let rows = query_as!(
            EventRow,
            r#"SELECT
                 e.id AS "id!",
                 e.name AS "name!",
                 e.kind AS "kind!",
                 e.at AS "at!",
                 e.since AS "since!",
                 e.value AS "value!",
                 e.normal,
                 e.threshold AS "threshold!",
                 e.summary AS "summary!",
                 e.agent_ids,
                 e.attempts AS "attempts!",
                 e.next_attempt_at,
                 e.delivered_at,
                 e.given_up_at,
                 e.last_error
             FROM UNNEST($2::text[]) AS wanted (name)
             CROSS JOIN LATERAL (
                 SELECT *
                 FROM alert_events AS one
                 WHERE one.name = wanted.name
                     AND ($1::text[] IS NULL OR one.agent_ids <@ $1)
                 ORDER BY one.at DESC, one.id DESC
                 LIMIT $3
             ) AS e"#,
            visible as _,
            names,
            each
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
