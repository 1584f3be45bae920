//! Alerts: the schedule of their evaluation, their states and their notifications.

mod events;
mod outbox;
mod readings;
mod rounds;
mod states;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use events::EventRow;
pub use outbox::{Attempt, DueEvent};
pub use states::{StateRow, StateWrite};

/// New notification.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Notification ID, which receivers get too.
    pub id: Uuid,
    /// Alert name.
    pub name: String,
    /// `firing` or `resolved`.
    pub kind: &'static str,
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
    /// Body as it is sent.
    pub body: String,
    /// Progress of sending it.
    pub progress: Progress,
}

/// Progress of sending a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Number of attempts to send it.
    pub attempts: i32,
    /// Time of the next attempt; `None` once it was delivered or given up.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Time at which the receiver accepted it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Time at which sending was given up.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Error of the last attempt.
    pub last_error: Option<String>,
}
