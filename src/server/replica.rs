//! Starts to watch the standby that answers are read from.

use crate::clock::Clock;
use crate::config::Settings;
use crate::jobs::replica::{Replica, Watched};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Connector, Pool};
use crate::store::fence::ErasureFence;
use crate::telemetry::Metrics;

/// Starts to watch the standby, where the settings name one. `primary` is how to connect to the
/// primary, and connections to it for what requests ask.
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
