//! What the service says of itself: the log ([`log`]), figures ([`metrics`]), and traces where a
//! collector is configured ([`traces`]). docs/logs-and-metrics.md tells what is in them.

mod log;
pub mod metrics;
pub mod traces;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
pub use metrics::Metrics;
pub use traces::Traces;

/// Starts the log of a command that sends no traces. A second call does nothing.
pub fn init(format: LogFormat) {
    // A second subscriber in one process (tests) is refused, and the first one stays.
    let _ = tracing_subscriber::registry().with(log::layer(format)).try_init();
}

/// Starts the log, and traces where the environment names a collector. What is returned is to be
/// finished at the end.
pub fn init_with_traces(format: LogFormat) -> anyhow::Result<Option<Traces>> {
    let Some(traces) = Traces::from_environment()? else {
        init(format);
        return Ok(None);
    };
    let subscriber = tracing_subscriber::registry().with(log::layer(format)).with(traces.layer());
    let _ = subscriber.try_init();
    Ok(Some(traces))
}
