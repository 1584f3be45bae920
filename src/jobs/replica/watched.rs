//! Watched servers, and the limit of their queries.

use std::time::Duration;

use sqlx::PgPool;

use crate::domain::Roles;
use crate::postgres::Connector;
use crate::store::fence::ErasureFence;
use crate::telemetry::metrics::ReadMetrics;

/// Limit of a query to either server.
pub(super) const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Watched servers, with the rules for reading the standby.
#[derive(Debug)]
pub struct Watched {
    /// Primary.
    pub primary: Connector,
    /// Connections to the primary for requests.
    pub pool: PgPool,
    /// Standby.
    pub standby: Connector,
    /// Greatest lag with which the standby is read.
    pub max_lag: Duration,
    /// Erasures that the standby must have replayed.
    pub erasures: ErasureFence,
    /// Role names of the assistant.
    pub roles: Roles,
    /// Counters of reads.
    pub reads: ReadMetrics,
}
