//! Telemetry: the log ([`log`]), metrics ([`metrics`]), and traces if a collector is configured
//! ([`traces`]). docs/reference/logs-and-metrics.md describes them.

mod log;
pub mod metrics;
pub mod traces;

use crate::config::LogFormat;
pub use log::init;
pub use metrics::Metrics;
pub use traces::{Span, Traces};

/// Starts the log, and traces if the environment names a collector. Call [`Traces::finish`] on the
/// result at the end.
pub fn init_with_traces(format: LogFormat) -> anyhow::Result<Option<Traces>> {
    init(format);
    Traces::from_environment()
}
