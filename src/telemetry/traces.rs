//! Traces, sent by OTLP over HTTP if the standard environment variables name a collector
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, …). Without one, a span costs one comparison.
//!
//! A span contains less than the log: the route's pattern, and never a path, a session or agent id,
//! or a word of a conversation.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

/// Creates spans; set if a collector is configured.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();
/// Service name if `OTEL_SERVICE_NAME` is not set.
const SERVICE: &str = "verbatim";
/// Time limit for sending the last spans at the end.
const FLUSH: Duration = Duration::from_secs(3);

/// Connection to a collector.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Reads the environment; `None` if no collector is configured, or traces are disabled.
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
        // An installed provider stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT is not a valid address")?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(&set))
            .build();
        // A second tracer in one process (tests) is rejected, and the first one stays.
        let _ = TRACER.set(provider.tracer(SERVICE));
        Ok(Some(Self(provider)))
    }

    /// Sends the remaining spans. Blocks for [`FLUSH`] at most.
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

/// Span of a trace; empty if no collector is configured. It ends on drop.
///
/// Not a span of `tracing`: it is independent of the log and its filters.
#[derive(Debug)]
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Span {
    /// Starts the span of a request. Its parent is the caller's span if `header` returns a
    /// `traceparent`.
    pub fn of_request<'a>(
        method: &str,
        request_id: &str,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let headers =
            Parent { traceparent: header("traceparent"), tracestate: header("tracestate") };
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        let builder = tracer.span_builder(method.to_owned()).with_kind(SpanKind::Server);
        let builder = builder.with_attributes([
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("request_id", request_id.to_owned()),
        ]);
        Self(Some(builder.start_with_context(tracer, &parent)))
    }

    /// Starts the span of one batch to Postgres, including its failed attempts.
    #[must_use]
    pub fn of_batch(way: &'static str, deliveries: usize) -> Self {
        let Some(tracer) = TRACER.get() else { return Self(None) };
        let deliveries = i64::try_from(deliveries).unwrap_or(i64::MAX);
        let builder = tracer.span_builder("batch to Postgres").with_kind(SpanKind::Client);
        let builder = builder.with_attributes([
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new("way", way),
            KeyValue::new("deliveries", deliveries),
        ]);
        Self(Some(builder.start_with_context(tracer, &Context::new())))
    }

    /// Returns `true` if no collector is configured.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Records the answer of a request.
    pub fn answered(&mut self, method: &str, pattern: Option<&str>, status: u16) {
        let Some(span) = &mut self.0 else { return };
        if let Some(pattern) = pattern {
            span.update_name(format!("{method} {pattern}"));
            span.set_attribute(KeyValue::new("http.route", pattern.to_owned()));
        }
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
        if status >= 500 {
            span.set_status(Status::error(""));
        }
    }

    /// Records the number of failed attempts.
    pub fn failed(&mut self, failures: u32) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("failures", i64::from(failures)));
        }
    }
}

/// The two headers of W3C trace context.
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
