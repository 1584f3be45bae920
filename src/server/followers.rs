//! Starts the tasks that follow the journal: the search index, and the facts for figures.

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

/// Starts the indexer once the schema is ready.
pub(super) fn start_indexer(
    connector: &Connector,
    backlog: &Backlog,
    schema: &CancellationToken,
    life: &Lifecycle,
) -> watch::Receiver<Option<IndexStanding>> {
    let (search, updates) = watch::channel(None);
    let indexer = Indexer::new(connector.clone(), backlog.watch_depth(), search);
    start(("indexer", schema, life), |life| indexer.run(life));
    updates
}

/// Starts the computation of facts once the schema is ready.
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
    start(("facts", schema, life), |life| facts.run(life));
    lag
}

/// Starts a named task once the schema is ready.
fn start<F>(
    (name, schema, life): (&'static str, &CancellationToken, &Lifecycle),
    run: impl FnOnce(Lifecycle) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (schema, stopping) = (schema.clone(), life.clone());
    life.spawn(name, async move {
        tokio::select! {
            biased;
            () = stopping.stopping() => {}
            () = schema.cancelled() => run(stopping.clone()).await,
        }
    });
}
