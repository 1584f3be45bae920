//! The way out: JSON over HTTP under `/v1`. Handlers read their parameters, call the store once,
//! and answer; what a row means to a caller is decided here, and no SQL is.

mod access_log;
mod agents;
mod answer;
mod caller;
pub mod cursor;
mod deliveries;
pub(crate) mod export;
mod group;
pub mod health;
mod keyring;
mod keys;
mod list;
mod messages;
mod metrics;
mod new_key;
mod params;
mod roster;
mod routes;
mod session;
mod sessions;
mod timestamp;
mod transcript;

pub use access_log::access_log;
pub use answer::SharedReads;
pub use caller::Caller;
pub use export::Exports;
pub use keyring::Keyring;
pub use routes::routes;

use crate::clock::Clock;
use crate::domain::session::SilenceLimits;
use crate::gate::Gate;
use crate::problem::Problem;
use crate::store::{Store, StoreError};

/// All that the handlers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// Where the answers come from.
    pub store: Store,
    /// Whose request it is, and how often its address has failed.
    pub gate: Gate,
    /// Who may ask.
    pub keyring: Keyring,
    /// What time it is.
    pub clock: Clock,
    /// When silence makes a session idle, and when it ends it.
    pub silence: SilenceLimits,
    /// What is being read for all who ask for the same.
    pub reads: SharedReads,
    /// What is being exported.
    pub exports: Exports,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Refused(_) => Self::internal(error),
        }
    }
}
