//! Traces, sent by OTLP over HTTP where the standard environment variables name a collector
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, …). Where they do not, a span is one comparison.
//!
//! A span holds what the log has and less: the route's pattern, and never a path, an id of a
//! session or an agent, or a word of a conversation.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::field::Empty;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The target of every span of ours: the log leaves it out, and traces take nothing else.
pub(super) const TARGET: &str = "otel::verbatim";
/// The service's name where `OTEL_SERVICE_NAME` says nothing.
const SERVICE: &str = "verbatim";
/// How long the last spans may take to reach the collector once the service has stopped.
const FLUSH: Duration = Duration::from_secs(3);

/// The way to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// `None` where no collector is configured, or traces are switched off.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let endpoint = set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            .or_else(|| set("OTEL_EXPORTER_OTLP_ENDPOINT"));
        let off = set("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
        if endpoint.is_none() || off {
            return Ok(None);
        }
        let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            .or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
        anyhow::ensure!(
            protocol.as_deref().is_none_or(|it| it == "http/protobuf"),
            "OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf or not set; others are not supported"
        );
        // Where it is installed already, it stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT is no collector's address")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(&set))
            .build();
        Ok(Some(Self(provider)))
    }

    /// Takes spans of ours, and nothing else.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            // A span that has begun keeps its name, and a request's is known at its end.
            .with_context_activation(false)
            .with_filter(filter_fn(|about| about.target() == TARGET))
    }

    /// Sends what has not been sent. It blocks for as long as [`FLUSH`] at the most.
    pub fn finish(self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

fn resource(set: &impl Fn(&'static str) -> Option<String>) -> Resource {
    let named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|it| it.contains("service.name="));
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named { resource.build() } else { resource.with_service_name(SERVICE).build() }
}

/// A span for a request, below the caller's where `header` gives a `traceparent`.
pub fn request<'a>(
    method: &str,
    request_id: &str,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Span {
    let span = tracing::info_span!(
        target: TARGET, "request",
        otel.name = Empty, otel.kind = "server", otel.status_code = Empty,
        http.request.method = method, http.route = Empty, http.response.status_code = Empty,
        request_id,
    );
    if !span.is_disabled() {
        let headers =
            Parent { traceparent: header("traceparent"), tracestate: header("tracestate") };
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        // It fails where nobody takes traces, and then there is nothing to be a parent of.
        let _ = span.set_parent(parent);
    }
    span
}

/// The request was answered.
pub fn answered(span: &Span, method: &str, pattern: Option<&str>, status: u16) {
    if span.is_disabled() {
        return;
    }
    let name = pattern.map_or_else(|| method.to_owned(), |it| format!("{method} {it}"));
    span.record("otel.name", name);
    span.record("http.route", pattern);
    // A signed number: an unsigned one would go out as a text.
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// A span for one batch on its way to Postgres, its failed attempts included.
#[must_use]
pub fn batch(way: &'static str, deliveries: usize) -> Span {
    let deliveries = i64::try_from(deliveries).unwrap_or(i64::MAX);
    tracing::info_span!(
        target: TARGET, "batch to Postgres",
        otel.kind = "client", db.system.name = "postgresql", way, deliveries, failures = Empty,
    )
}

/// The two headers of the W3C's trace context.
struct Parent<'a> {
    traceparent: Option<&'a str>,
    tracestate: Option<&'a str>,
}

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.traceparent,
            "tracestate" => self.tracestate,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}
