//! JSON shapes of `/v1/alerts`.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::alerts::Rule;
use crate::analytics::catalog::{Stat, Unit};
use crate::api::views::timestamp::Timestamp;
use crate::store::alerts::{EventRow, StateRow};

/// State of an alert that was not evaluated yet.
const UNKNOWN: &str = "unknown";

/// Alert: its rule, its state, and its latest notifications.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    /// Name.
    #[schema(example = "lobby-quiet")]
    name: String,
    /// `ok`, `pending` (the condition holds, and not yet for as long as the rule demands), `firing`,
    /// or `unknown` before the first evaluation.
    #[schema(example = "firing")]
    state: String,
    /// Time from which on the condition has held (`pending`, `firing`) or has not held (`ok`).
    since: Option<Timestamp>,
    /// Time of the last evaluation.
    #[schema(example = "2026-09-28T09:20:00.000000Z")]
    evaluated_at: Option<Timestamp>,
    /// Reason why the last evaluation had no value, so that the state stays as it was; null where it
    /// had one.
    #[schema(example = json!(null))]
    not_evaluated: Option<String>,
    /// Metric of the catalogue, or `quiet`, `no_delivery`, `undrained_age`, `quarantined`.
    #[schema(example = "quiet")]
    metric: &'static str,
    /// Statistic of a metric of the catalogue.
    #[schema(example = json!(null))]
    stat: Option<Stat>,
    /// Unit of value, limit and normal value.
    #[schema(example = "seconds")]
    unit: Unit,
    /// Agents that it is about; null is every agent.
    #[schema(example = json!(["A80HVD8577"]))]
    agent_ids: Option<Vec<String>>,
    /// Range of time up to the evaluation; null for figures of a moment.
    #[schema(example = json!(null))]
    window_seconds: Option<u64>,
    /// Time for which the condition must hold before it fires.
    #[schema(example = 300)]
    for_seconds: u64,
    /// `above` or `below`.
    #[schema(example = "above")]
    comparison: &'static str,
    /// Value at the last evaluation.
    #[schema(example = 2_820.0)]
    value: Option<f64>,
    /// Limit at the last evaluation.
    #[schema(example = 1_080.0)]
    threshold: Option<f64>,
    /// Normal value for the weekday and hour; null where the rule has no relative limit.
    #[schema(example = 360.0)]
    normal: Option<f64>,
    /// Latest notifications, the latest first.
    history: Vec<AlertEvent>,
}

/// Notification of an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertEvent {
    /// Id, the receiver's `webhook-id`.
    #[schema(example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    id: Uuid,
    /// Alert.
    #[schema(example = "lobby-quiet")]
    name: String,
    /// `firing` or `resolved`.
    #[schema(example = "firing")]
    kind: String,
    /// Time of the evaluation.
    #[schema(example = "2026-09-28T14:54:13.945697Z")]
    at: Timestamp,
    /// Time from which on the condition has held, or had.
    since: Timestamp,
    /// Sentence for a person.
    #[schema(example = "Quiet for 47 minutes; normal here on Mondays at 11 is 6.")]
    summary: String,
    /// Value.
    #[schema(example = 2_820.0)]
    value: f64,
    /// Limit that it passed, or passes no longer.
    #[schema(example = 1_080.0)]
    threshold: f64,
    /// Normal value.
    #[schema(example = 360.0)]
    normal: Option<f64>,
    /// Agents that it is about; null is every agent.
    #[schema(example = json!(["A80HVD8577"]))]
    agent_ids: Option<Vec<String>>,
    /// `waiting`, `delivered`, or `given_up`.
    #[schema(example = "delivered")]
    delivery: &'static str,
    /// Attempts to send it.
    #[schema(example = 1)]
    attempts: i32,
    /// When the receiver took it.
    #[schema(example = "2026-09-28T09:20:01.000000Z")]
    delivered_at: Option<Timestamp>,
    /// When the next attempt is due.
    #[schema(example = json!(null))]
    next_attempt_at: Option<Timestamp>,
    /// Why the last attempt failed.
    #[schema(example = json!(null))]
    last_error: Option<String>,
}

impl Alert {
    /// Alert of a rule, with the state that belongs to it.
    pub(crate) fn new(rule: &Rule, state: Option<StateRow>, history: Vec<AlertEvent>) -> Self {
        // One of a rule that was about other agents says nothing of this one.
        let state = state.filter(|state| state.agent_ids == rule.agents);
        let shown = state.as_ref();
        Self {
            name: rule.name.clone(),
            state: shown.map_or(UNKNOWN, |state| &state.status).to_owned(),
            since: shown.map(|state| Timestamp(state.since)),
            evaluated_at: shown.map(|state| Timestamp(state.evaluated_at)),
            not_evaluated: shown.and_then(|state| state.missing.clone()),
            metric: rule.subject.name(),
            stat: rule.subject.stat(),
            unit: rule.subject.unit(),
            agent_ids: rule.agents.clone(),
            window_seconds: rule.window.map(|window| window.as_secs()),
            for_seconds: rule.hold.as_secs(),
            comparison: rule.condition.side.as_str(),
            value: shown.and_then(|state| state.value),
            threshold: shown.and_then(|state| state.threshold),
            normal: shown.and_then(|state| state.normal),
            history,
        }
    }
}

impl From<EventRow> for AlertEvent {
    fn from(row: EventRow) -> Self {
        let delivery = match (row.delivered_at, row.given_up_at) {
            (Some(_), _) => "delivered",
            (None, Some(_)) => "given_up",
            (None, None) => "waiting",
        };
        Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            at: Timestamp(row.at),
            since: Timestamp(row.since),
            summary: row.summary,
            value: row.value,
            threshold: row.threshold,
            normal: row.normal,
            agent_ids: row.agent_ids,
            delivery,
            attempts: row.attempts,
            delivered_at: row.delivered_at.map(Timestamp),
            next_attempt_at: row.next_attempt_at.map(Timestamp),
            last_error: row.last_error,
        }
    }
}

impl AlertEvent {
    /// Alert that it is about.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}
