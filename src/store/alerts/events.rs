//! History of alerts: their notifications, and what became of each.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use crate::store::page::{Order, PageRequest};
use crate::store::{Store, StoreError};

/// Notification, without its body.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Id by which receivers know it.
    pub id: Uuid,
    /// Alert.
    pub name: String,
    /// `firing` or `resolved`.
    pub kind: String,
    /// Time of the evaluation.
    pub at: DateTime<Utc>,
    /// Time from which on the condition has held, or had.
    pub since: DateTime<Utc>,
    /// Value.
    pub value: f64,
    /// Normal value.
    pub normal: Option<f64>,
    /// Limit.
    pub threshold: f64,
    /// Sentence for a person.
    pub summary: String,
    /// Agents of the rule.
    pub agent_ids: Option<Vec<String>>,
    /// Attempts to send it.
    pub attempts: i32,
    /// Time of the next one.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Time at which the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Time from which on no attempt is made.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Failure of the last attempt.
    pub last_error: Option<String>,
}

/// A part of the history.
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
    /// Reads a part of the history: of the alerts whose agents are all `visible`, and of one alert
    /// where `name` says so.
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

    /// Reads the latest notifications of each alert, the latest first.
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
