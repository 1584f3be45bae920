//! State that all handlers share, and what an error of the store means to a caller.

use std::sync::Arc;

use crate::alerts::Rule;
use crate::api::answers::answer::SharedReads;
use crate::api::answers::held::HeldAnswers;
use crate::api::answers::servers::ReadServers;
use crate::api::auth::key_cache::KeyCache;
use crate::api::query::cursor_keys::CursorKeys;
use crate::api::resources::export::seats::Exports;
use crate::clock::Clock;
use crate::domain::session::SilenceLimits;
use crate::domain::visits::VisitGaps;
use crate::ingress::Ingress;
use crate::lifecycle::Lifecycle;
use crate::live::Live;
use crate::problem::{Code, Problem};
use crate::store::{Store, StoreError};

/// State of all handlers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The store.
    pub store: Store,
    /// Servers that answers are read from.
    pub servers: ReadServers,
    /// Client addresses, failed authentications, and limits on requests.
    pub ingress: Ingress,
    /// Valid keys.
    pub key_cache: KeyCache,
    /// Keys of cursors.
    pub cursors: CursorKeys,
    /// Clock.
    pub clock: Clock,
    /// Rules of the configured alerts.
    pub alerts: Arc<[Rule]>,
    /// Silences after which a session is idle, and ended.
    pub silence: SilenceLimits,
    /// Silences after which a new visit begins.
    pub visit_gaps: Arc<VisitGaps>,
    /// Reads in progress, which equal requests share.
    pub reads: SharedReads,
    /// Events for listeners.
    pub live: Live,
    /// Exports in progress.
    pub exports: Exports,
    /// Large answers that are being sent.
    pub held: HeldAnswers,
    /// Stop signal, which ends long answers.
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
