//! Assembles the state of the read API.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::resources::Resources;
use crate::alerts::Rule;
use crate::api::{
    self, ApiState, CursorKeys, Exports, HeldAnswers, KeyCache, ReadServers, SetupState,
    SharedReads,
};
use crate::ingress::Ingress;
use crate::jobs::replica::Replica;
use crate::live::{Live, Render};
use crate::store::Store;
use crate::webhook::test_sender::TestSender;

/// Parts of the service that the read API uses.
pub(super) struct Uses {
    pub(super) ingress: Ingress,
    /// Store of the requests.
    pub(super) store: Store,
    /// Store of the jobs, which the stream reads from.
    pub(super) job_store: Store,
    pub(super) replica: Option<Replica>,
    pub(super) alerts: Arc<[Rule]>,
    /// Notified after each commit.
    pub(super) commits: watch::Receiver<()>,
}

/// Starts the stream, and returns the state of the handlers.
pub(super) fn start(resources: &Resources, uses: Uses) -> ApiState {
    let Resources { settings, clock, life, .. } = resources;
    let Uses { ingress, store, job_store, replica, alerts, commits } = uses;
    let bootstrap: Vec<_> = settings.api_key.clone().into_iter().collect();
    let cursors = CursorKeys::new(store.clone(), clock.clone());
    let render = render(resources, &cursors);
    let held = HeldAnswers::default();
    ApiState {
        ingress,
        key_cache: KeyCache::new(store.clone(), clock.clone(), &bootstrap),
        live: Live::start(job_store, render, held.shares().clone(), commits, life),
        store,
        servers: ReadServers::new(replica),
        cursors,
        clock: clock.clone(),
        alerts,
        silence: settings.silence,
        visit_gaps: Arc::new(settings.visit_gaps.clone()),
        reads: SharedReads::default(),
        exports: Exports::default(),
        held,
        life: life.clone(),
    }
}

/// Returns the state of the setup's handlers; `address` is the one that the service listens on.
pub(super) fn setup(resources: &Resources, address: SocketAddr) -> anyhow::Result<SetupState> {
    let Resources { settings, clock, .. } = resources;
    Ok(SetupState {
        test_sender: TestSender::new(&settings.sources, address, settings.tls.is_some())?,
        data_dir: settings.database.data_dir.clone(),
        keep: settings.keep.clone(),
        started_at: clock.now(),
    })
}

fn render(resources: &Resources, cursors: &CursorKeys) -> Render {
    let Resources { settings, clock, .. } = resources;
    api::event_text(settings.roles.clone(), settings.silence, clock.clone(), cursors.clone())
}
