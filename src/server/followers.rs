//! Starts what follows the journal: the search index, and the facts that figures are computed from.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::inbox::Backlog;
use crate::jobs::facts::FactsFollower;
use crate::jobs::indexer::Indexer;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;
use crate::store::facts::{FactRules, FactsLag};
use crate::store::search::IndexStanding;

/// Begins to index once there is a schema to read from.
pub(super) fn start_indexer(
    connector: &Connector,
    backlog: &Backlog,
    schema: &CancellationToken,
    life: &Lifecycle,
) -> watch::Receiver<Option<IndexStanding>> {
    let (search, seen) = watch::channel(None);
    let indexer = Indexer::new(connector.clone(), backlog.watch_depth(), search);
    let (schema, stopping) = (schema.clone(), life.clone());
    life.spawn("indexer", async move {
        tokio::select! {
            biased;
            () = stopping.stopping() => {}
            () = schema.cancelled() => indexer.run(stopping.clone()).await,
        }
    });
    seen
}

/// Keeps facts for figures, once there is a schema to read from.
pub(super) fn start_facts(
    settings: &Settings,
    connector: Connector,
    backlog: &Backlog,
    schema: &CancellationToken,
    life: &Lifecycle,
) -> watch::Receiver<Option<FactsLag>> {
    let rules = FactRules::of(&settings.visit_gaps, &settings.roles);
    let facts = FactsFollower::new(connector, rules, backlog.watch_depth());
    let lag = facts.watch_lag();
    let (schema, stopping) = (schema.clone(), life.clone());
    life.spawn("facts", async move {
        tokio::select! {
            biased;
            () = stopping.stopping() => {}
            () = schema.cancelled() => facts.run(stopping.clone()).await,
        }
    });
    lag
}
