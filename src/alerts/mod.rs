//! Alerts: what a rule compares, when it fires and is over, and the signed message about it.
//!
//! Everything here computes, and does nothing else: `jobs` reads the figures and sends.

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
pub use rule::{Draft, MOST_ALERTS, Rule, RuleError, Subject};
pub use signature::{InvalidKey, SigningKey, signatures};
pub use state::{Change, State, Status};
