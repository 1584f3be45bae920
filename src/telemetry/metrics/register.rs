//! Registration of metrics.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};

use super::family::{self, Family, Kind};

/// Label for a source that is not configured: no source can have this name.
pub(super) const UNKNOWN_SOURCE: &str = "(unknown)";

/// Registers metrics and returns their handles.
pub(super) struct Register {
    pub(super) recorder: metrics_exporter_prometheus::PrometheusRecorder,
}

impl std::fmt::Debug for Register {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Register").finish_non_exhaustive()
    }
}

const METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

impl Register {
    pub(super) fn new() -> Result<Self, BuildError> {
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

    pub(super) fn counter(&self, family: Family, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(family, labels), &METADATA)
    }

    pub(super) fn gauge(&self, family: Family, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(family, labels), &METADATA)
    }

    pub(super) fn histogram(&self, family: Family, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(family, labels), &METADATA)
    }
}

fn key(family: Family, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> =
        labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(family.name, labels)
}
