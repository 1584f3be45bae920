//! Alerts: when they are evaluated, their states, and the notifications that are on their way.

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

/// Notification that is new.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Id by which receivers know it.
    pub id: Uuid,
    /// Alert.
    pub name: String,
    /// `firing` or `resolved`.
    pub kind: &'static str,
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
    /// Body as it is sent.
    pub body: String,
    /// Progress of sending it.
    pub progress: Progress,
}

/// Progress of sending a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Attempts to send it.
    pub attempts: i32,
    /// Time of the next one; `None` once it was delivered or given up.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Time at which the receiver took it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// Time from which on no attempt is made.
    pub given_up_at: Option<DateTime<Utc>>,
    /// Failure of the last attempt.
    pub last_error: Option<String>,
}
