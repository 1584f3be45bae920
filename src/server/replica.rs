//! Starts the check of the standby for reads.

use super::resources::Resources;
use crate::jobs::replica::{Replica, Watched};
use crate::postgres;

/// Starts the check of the standby, if the settings name one.
pub(super) fn start(resources: &Resources) -> anyhow::Result<Option<Replica>> {
    let Resources { settings, clock, life, .. } = resources;
    let Some(limits) = &settings.replica else { return Ok(None) };
    let watched = Watched {
        primary: resources.connector.clone(),
        pool: resources.pool.clone(),
        standby: postgres::standby(&limits.url)?,
        max_lag: limits.max_lag,
        erasures: resources.erasures.clone(),
        roles: settings.roles.clone(),
        reads: resources.metrics.reads.clone(),
    };
    Ok(Some(Replica::start(watched, clock.clone(), life)))
}
