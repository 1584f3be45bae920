//! Starts the background jobs.

use std::sync::Arc;

use tokio::sync::watch;

use super::resources::Resources;
use crate::alerts::Rule;
use crate::config::AlertSettings;
use crate::jobs::agent_journal;
use crate::jobs::alerts::{self, Alerts, OwnState};
use crate::jobs::bulk_retry::BulkRetry;
use crate::jobs::database_health::{self, DatabaseHealth};
use crate::jobs::facts::FactsFollower;
use crate::jobs::indexer::Indexer;
use crate::lifecycle::Lifecycle;
use crate::store::Store;
use crate::store::facts::{FactRules, FactsLag};
use crate::store::search::IndexBacklog;

/// Starts the check of the database's health.
pub(super) fn start_database_health(resources: &Resources) -> watch::Receiver<DatabaseHealth> {
    let Resources { connector, clock, life, .. } = resources;
    let (sender, updates) = watch::channel(DatabaseHealth::default());
    life.spawn(
        "database health",
        database_health::run(connector.clone(), clock.clone(), sender, life.clone()),
    );
    updates
}

/// Starts the indexer once the schema is ready.
pub(super) fn start_indexer(resources: &Resources) -> watch::Receiver<Option<IndexBacklog>> {
    let (search, updates) = watch::channel(None);
    let depth = resources.backlog.watch_depth();
    let indexer = Indexer::new(resources.connector.clone(), depth, search);
    start("indexer", resources, |life| indexer.run(life));
    updates
}

/// Starts the computation of facts once the schema is ready.
pub(super) fn start_facts(resources: &Resources) -> watch::Receiver<Option<FactsLag>> {
    let Resources { settings, connector, backlog, .. } = resources;
    let rules = FactRules::of(&settings.visit_gaps, &settings.roles);
    let facts = FactsFollower::new(connector.clone(), rules, backlog.watch_depth());
    let lag = facts.watch_lag();
    start("facts", resources, |life| facts.run(life));
    lag
}

/// Starts the journal by agent once the schema is ready.
pub(super) fn start_agent_journal(resources: &Resources, store: Store) {
    start("journal by agent", resources, |life| agent_journal::run(store, life));
}

/// Starts bulk retries once the schema is ready.
pub(super) fn start_bulk_retry(resources: &Resources, store: Store) {
    let retry = BulkRetry::new(store, resources.clock.clone());
    start("bulk retry", resources, |life| retry.run(life));
}

/// Starts the evaluation of alerts, if there are any, and returns their rules. It does not wait for
/// the schema: without the database it checks the alerts on the state of this service.
pub(super) fn start_alerts(resources: &Resources, store: &Store) -> anyhow::Result<Arc<[Rule]>> {
    let Resources { settings, clock, life, metrics, backlog, .. } = resources;
    let all: Arc<[AlertSettings]> = settings.alerts.clone().into();
    if !all.is_empty() {
        let client = alerts::Client::new(all.iter().map(|alert| &alert.receiver))?;
        let depth = backlog.watch_depth();
        let own = OwnState { depth, metrics: metrics.clone(), started_at: clock.now() };
        let job =
            Alerts::new(all.clone(), store.clone(), clock.clone(), client, own, metrics.clone());
        life.spawn("alerts", job.run(life.clone()));
    }
    Ok(all.iter().map(|alert| alert.rule.clone()).collect())
}

/// Starts a job once the schema is ready.
fn start<F>(
    name: &'static str,
    resources: &Resources,
    run: impl FnOnce(Lifecycle) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (schema, stopping) = (resources.schema.clone(), resources.life.clone());
    resources.life.spawn(name, async move {
        tokio::select! {
            biased;
            () = stopping.stopping() => {}
            () = schema.cancelled() => run(stopping.clone()).await,
        }
    });
}
