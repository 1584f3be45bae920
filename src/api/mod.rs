//! The way out: JSON over HTTP under `/v1`. Handlers read their parameters, call the store once,
//! and answer; what a row means to a caller is decided here, and no SQL is.

mod access_log;
mod agents;
mod alerts;
mod analytics;
mod answer;
mod browser_session;
mod caller;
mod changes;
mod completeness;
mod compress;
mod continuation;
mod cookie;
pub mod cursor;
mod cursor_keys;
mod deliveries;
mod docs;
mod erase;
pub(crate) mod export;
mod group;
pub mod health;
mod held;
mod holds;
mod identity;
mod jobs;
mod json_body;
mod key_hashes;
mod keyring;
mod keys;
mod list;
mod messages;
mod metrics;
mod new_key;
mod openapi;
mod params;
mod query;
mod reads;
mod retention;
mod routes;
mod saved_views;
mod search;
mod session;
mod sessions;
mod setup;
mod stream;
mod timestamp;
mod transcript;
mod views;
mod visits;
mod watch;
mod zone;

pub use access_log::access_log;
pub use answer::SharedReads;
pub use caller::Caller;
pub use cursor_keys::{CursorKeys, OPENS_FOR, SEALS_FOR};
pub use export::Exports;
pub use held::HeldAnswers;
pub use keyring::Keyring;
pub use openapi::openapi;
pub use reads::ReadServers;
pub use routes::routes;
pub use setup::SetupState;
pub use stream::event_text;

use std::sync::Arc;

use crate::alerts::Rule;
use crate::clock::Clock;
use crate::domain::session::SilenceLimits;
use crate::domain::visits::VisitGaps;
use crate::gate::Gate;
use crate::lifecycle::Lifecycle;
use crate::live::Live;
use crate::problem::{Code, Problem};
use crate::store::{Store, StoreError};

/// All that the handlers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// Where the answers come from.
    pub store: Store,
    /// The servers that they are read from.
    pub servers: ReadServers,
    /// Whose request it is, and how often its address has failed.
    pub gate: Gate,
    /// Who may ask.
    pub keyring: Keyring,
    /// What cursors are sealed with.
    pub cursors: CursorKeys,
    /// What time it is.
    pub clock: Clock,
    /// Rules of the alerts that are set.
    pub alerts: Arc<[Rule]>,
    /// When silence makes a session idle, and when it ends it.
    pub silence: SilenceLimits,
    /// When silence says that the next visitor speaks.
    pub visit_gaps: Arc<VisitGaps>,
    /// What is being read for all who ask for the same.
    pub reads: SharedReads,
    /// What comes, for all who listen.
    pub live: Live,
    /// What is being exported.
    pub exports: Exports,
    /// Answers that are being sent.
    pub held: HeldAnswers,
    /// When the service stops, long answers end.
    pub life: Lifecycle,
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if let StoreError::TooExpensive { facts, most } = error {
            let detail = format!(
                "These figures are computed from each message or session, and the range has {facts} \
                 of them; {most} are read at the most. Choose a shorter range or fewer agents, \
                 or metrics that add up, which cost the same over any range."
            );
            return Self::new(Code::InvalidParameter, detail);
        }
        let is_unavailable = matches!(error, StoreError::Unavailable(_));
        let hint = error.hint();
        let cause = anyhow::Error::new(error);
        let cause = hint.into_iter().fold(cause, anyhow::Error::context);
        if is_unavailable { Self::unavailable(cause) } else { Self::internal(cause) }
    }
}
