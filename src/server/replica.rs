//! Starts the check of the standby for reads.

use crate::clock::Clock;
use crate::config::Settings;
use crate::jobs::replica::{Replica, Watched};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Connector, Pool};
use crate::store::fence::ErasureFence;
use crate::telemetry::Metrics;

/// Starts the check of the standby, if the settings name one. `primary` is the connector of the
/// primary, and the pool for requests.
pub(super) fn start(
    settings: &Settings,
    primary: (&Connector, &Pool),
    erasures: &ErasureFence,
    metrics: &Metrics,
    clock: &Clock,
    life: &Lifecycle,
) -> anyhow::Result<Option<Replica>> {
    let Some(limits) = &settings.replica else { return Ok(None) };
    let watched = Watched {
        primary: primary.0.clone(),
        pool: primary.1.clone(),
        standby: postgres::standby(&limits.url)?,
        max_lag: limits.max_lag,
        erasures: erasures.clone(),
        roles: settings.roles.clone(),
        reads: metrics.reads.clone(),
    };
    Ok(Some(Replica::start(watched, clock.clone(), life)))
}
