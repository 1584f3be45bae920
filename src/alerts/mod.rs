//! Alerts: rules, their state machine, and the signed messages.
//!
//! Pure computation: `jobs` reads the figures and sends the messages.

mod amount;
mod condition;
mod message;
mod reading;
mod rule;
mod sentence;
mod signature;
mod state;

pub use amount::Amount;
pub use condition::{Condition, Relative, Side};
pub use message::{Message, MessageKind};
pub use reading::{Measured, Missing, Reading, median};
pub use rule::{Draft, MAX_ALERTS, Rule, RuleError, Subject};
pub use signature::{InvalidKey, SigningKey, signatures};
pub use state::{Change, State, Status};
