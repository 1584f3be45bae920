//! What can be counted and timed, for Prometheus.
//!
//! There is no global recorder: a service has its own, so that several in one process (tests) do
//! not count for each other. Each part is handed the handles that it needs, which were registered
//! once: on the way of a delivery counting is an atomic addition, and never a text.
//!
//! A label is a name of ours or of the configuration. Nothing that a caller chooses becomes one.

mod alerts;
mod drain;
mod family;
mod http;
mod inbox;
mod process;
mod reads;
mod recent;
mod state;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::clock::Clock;
use crate::domain::SourceName;
use crate::lifecycle::Lifecycle;
use family::{Family, Kind};

pub use alerts::AlertMetrics;
pub use drain::{DrainFailure, DrainMetrics, DrainSeries, Way};
pub use http::HttpMetrics;
pub use inbox::InboxMetrics;
pub use reads::{ReadMetrics, ReplicaLag};
pub use recent::{Recent, Spread};
pub use state::{Connections, State, StateMetrics};
pub use webhook::{Seen, WebhookMetrics};

/// How often values of histograms are sorted into their buckets where nobody scrapes; until then
/// each takes 8 bytes.
const UPKEEP: Duration = Duration::from_secs(5);
/// Stands for a source that is not configured: no source can have this name.
const UNKNOWN_SOURCE: &str = "(unknown)";

/// All figures of one service.
#[derive(Debug)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// The way in.
    pub webhook: WebhookMetrics,
    /// The inbox's writer.
    pub inbox: InboxMetrics,
    /// The ways to Postgres.
    pub drain: DrainMetrics,
    /// The way out.
    pub http: HttpMetrics,
    /// The servers that answers are read from.
    pub reads: ReadMetrics,
    /// Alerts and their notifications.
    pub alerts: AlertMetrics,
    /// What is looked at when somebody asks.
    pub state: StateMetrics,
}

impl Metrics {
    /// Registers everything for these sources.
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

    /// All of it as Prometheus reads it.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Keeps the values of histograms from piling up, until the service stops.
    pub async fn keep(self: Arc<Self>, life: Lifecycle) {
        while !life.is_stopping() {
            self.handle.run_upkeep();
            tokio::select! {
                () = life.stopping() => {}
                () = tokio::time::sleep(UPKEEP) => {}
            }
        }
    }
}

/// Makes handles.
struct Register {
    recorder: metrics_exporter_prometheus::PrometheusRecorder,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").finish_non_exhaustive()
    }
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

impl Register {
    fn new() -> Result<Self, BuildError> {
        let mut builder = PrometheusBuilder::new();
        for family in family::ALL {
            if let Kind::Histogram(buckets) = family.kind {
                builder = builder
                    .set_buckets_for_metric(Matcher::Full(family.name.to_owned()), buckets)?;
            }
        }
        let recorder = builder.build_recorder();
        for Family { name, kind, help } in family::ALL {
            let name = (*name).into();
            match kind {
                Kind::Counter => recorder.describe_counter(name, None, (*help).into()),
                Kind::Gauge => recorder.describe_gauge(name, None, (*help).into()),
                Kind::Histogram(_) => recorder.describe_histogram(name, None, (*help).into()),
            }
        }
        Ok(Self { recorder })
    }

    fn counter(&self, family: Family, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(family, labels), &METADATA)
    }

    fn gauge(&self, family: Family, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(family, labels), &METADATA)
    }

    fn histogram(&self, family: Family, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(family, labels), &METADATA)
    }
}

fn key(family: Family, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(family.name, labels)
}
