//! Counters, gauges and histograms for Prometheus.
//!
//! There is no global recorder: each service has one, so several in one process (tests) do not
//! count for each other. Each part receives its handles, which are registered once, so counting
//! during a delivery is one atomic addition without a text.
//!
//! Labels are names from the code or the configuration, never a caller's input.

mod alerts;
mod drain;
mod family;
mod http;
mod inbox;
mod process;
mod reads;
mod recent;
mod register;
mod state;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, PrometheusHandle};

use crate::clock::Clock;
use crate::domain::SourceName;
use crate::lifecycle::Lifecycle;
use register::Register;

pub use alerts::AlertMetrics;
pub use drain::{DrainFailure, DrainMetrics, DrainSeries, WritePath};
pub use http::HttpMetrics;
pub use inbox::InboxMetrics;
pub use reads::{ReadMetrics, ReplicaLag};
pub use recent::{Recent, Spread};
pub use state::{Connections, State, StateMetrics};
pub use webhook::{EventKind, WebhookMetrics};

/// Interval at which histograms sort their values into buckets if nobody scrapes. Until then each
/// value takes 8 bytes.
const UPKEEP: Duration = Duration::from_secs(5);

/// All metrics of one service.
#[derive(Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// Ingest.
    pub webhook: WebhookMetrics,
    /// The inbox's writer.
    pub inbox: InboxMetrics,
    /// Writes to Postgres.
    pub drain: DrainMetrics,
    /// Read API.
    pub http: HttpMetrics,
    /// Servers that reads used.
    pub reads: ReadMetrics,
    /// Alerts and their notifications.
    pub alerts: AlertMetrics,
    /// Values that are read for each scrape.
    pub state: StateMetrics,
}

impl Metrics {
    /// Registers all metrics for these sources.
    pub fn new<'a>(
        clock: &Clock,
        sources: impl IntoIterator<Item = &'a SourceName>,
    ) -> Result<Arc<Self>, BuildError> {
        let sources: Vec<&SourceName> = sources.into_iter().collect();
        let register = Arc::new(Register::new()?);
        Ok(Arc::new(Self {
            handle: register.recorder.handle(),
            webhook: WebhookMetrics::new(&register, &sources),
            inbox: InboxMetrics::new(&register),
            drain: DrainMetrics::new(&register, &sources, clock.clone()),
            reads: ReadMetrics::new(&register),
            alerts: AlertMetrics::new(&register),
            state: StateMetrics::new(&register, clock),
            http: HttpMetrics::new(register),
        }))
    }

    /// Renders all metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Sorts the values of histograms at intervals, until the service stops.
    pub async fn run_upkeep(self: Arc<Self>, life: Lifecycle) {
        while !life.is_stopping() {
            self.handle.run_upkeep();
            tokio::select! {
                () = life.stopping() => {}
                () = tokio::time::sleep(UPKEEP) => {}
            }
        }
    }
}
