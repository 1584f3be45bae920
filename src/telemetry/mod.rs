//! What the service says of itself: the log ([`log`]), figures ([`metrics`]), and traces where a
//! collector is configured ([`traces`]). docs/reference/logs-and-metrics.md describes them.

mod log;
pub mod metrics;
pub mod traces;

use crate::config::LogFormat;
pub use log::init;
pub use metrics::Metrics;
pub use traces::{Span, Traces};

/// Starts the log, and traces where the environment names a collector. What is returned is to be
/// finished at the end.
pub fn init_with_traces(format: LogFormat) -> anyhow::Result<Option<Traces>> {
    init(format);
    Traces::from_environment()
}
