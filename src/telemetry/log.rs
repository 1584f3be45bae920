//! The log: on standard error, as text or as JSON lines.
//!
//! Every line that is written during a request has its `request_id`, also lines of libraries. The
//! id is read when a line is written, so requests without lines have no cost, unlike with a span.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::LogFormat;
use crate::domain::json_line::escape_separators;
use crate::problem::REQUEST_ID;

/// Filter if `RUST_LOG` is not set: our lines, and warnings of libraries.
const DEFAULT_FILTER: &str = "warn,verbatim=info";
/// Target of the HTTP server's lines, which clients can cause without a limit by malformed heads
/// and disconnects. `server` logs these events within limits; `RUST_LOG` can enable the lines.
const SUPPRESSED: &str = "actix_http";

/// Starts the log. A second call does nothing.
///
/// The filter belongs to the subscriber and not to the layer: after a library's `enabled!`, a
/// layer's filter would lose the next line.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| DEFAULT_FILTER.into());
    let filter = without_the_framework(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second subscriber in one process (tests) is rejected, and the first one stays.
    let _ = match format {
        LogFormat::Json => {
            registry.with(layer.fmt_fields(JsonFields::new()).event_format(json())).try_init()
        }
        LogFormat::Pretty => {
            registry.with(layer.event_format(pretty(std::io::stderr().is_terminal()))).try_init()
        }
    };
}

fn without_the_framework(filter: EnvFilter) -> EnvFilter {
    if filter.to_string().contains(SUPPRESSED) {
        return filter;
    }
    match format!("{SUPPRESSED}=off").parse() {
        Ok(off) => filter.add_directive(off),
        Err(_) => filter,
    }
}

type Format<F> = tracing_subscriber::fmt::format::Format<F>;

fn json() -> WithRequestId<Format<tracing_subscriber::fmt::format::Json>> {
    let lines = tracing_subscriber::fmt::format().json().flatten_event(true);
    WithRequestId {
        lines,
        end: "}\n",
        add: |line, id| {
            // A caller's id may contain a quotation mark.
            let id = serde_json::to_string(id).map_err(|_| fmt::Error)?;
            write!(line, ",\"request_id\":{id}")
        },
    }
}

fn pretty(ansi: bool) -> WithRequestId<Format<tracing_subscriber::fmt::format::Full>> {
    let lines = tracing_subscriber::fmt::format().with_target(false).with_ansi(ansi);
    WithRequestId { lines, end: "\n", add: |line, id| write!(line, " request_id={id}") }
}

/// Format of lines with the request's id at their end.
struct WithRequestId<F> {
    lines: F,
    /// End of a line.
    end: &'static str,
    add: fn(&mut String, &str) -> fmt::Result,
}

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        if let Ok(id) = REQUEST_ID.try_with(Clone::clone)
            && let Some(body) = line.strip_suffix(self.end)
        {
            line.truncate(body.len());
            (self.add)(&mut line, &id)?;
            line.push_str(self.end);
        }
        // Text lines must also stay one line.
        writer.write_str(&escape_separators(&line))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::Layer;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns the log of one line within a request and one outside.
    fn written<L>(layer: impl FnOnce(Written) -> L) -> String
    where
        L: Layer<tracing_subscriber::Registry> + Send + Sync,
    {
        let written = Written::default();
        let subscriber = tracing_subscriber::registry().with(layer(written.clone()));
        tracing::subscriber::with_default(subscriber, || {
            REQUEST_ID.sync_scope("a\"b".into(), || tracing::info!(count = 1, "inside"));
            tracing::info!("outside");
        });
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn http_server_lines_are_suppressed_unless_requested() {
        let filter = |text: &str| without_the_framework(text.into()).to_string();
        assert!(filter(DEFAULT_FILTER).contains("actix_http=off"));
        assert!(filter("debug").contains("actix_http=off"));
        assert!(!filter("info,actix_http=trace").contains("actix_http=off"));
    }

    #[test]
    fn json_line_of_a_request_has_its_id() {
        let text = written(|out| {
            tracing_subscriber::fmt::layer()
                .fmt_fields(JsonFields::new())
                .event_format(json())
                .with_writer(move || out.clone())
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["message"], &lines[0]["count"]), (&"inside".into(), &1.into()));
        assert_eq!(lines[0]["request_id"], "a\"b");
        assert!(lines[1].get("request_id").is_none());
    }

    #[test]
    fn line_separators_in_values_do_not_split_a_line() {
        let text_with_separators = "a\u{2028}b\u{2029}c\u{85}d";
        for json_lines in [true, false] {
            let out = Written::default();
            let writer = out.clone();
            let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
            let layer = if json_lines {
                layer.fmt_fields(JsonFields::new()).event_format(json()).boxed()
            } else {
                layer.event_format(pretty(false)).boxed()
            };
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(agent = %text_with_separators, "{text_with_separators}");
                REQUEST_ID.sync_scope(text_with_separators.into(), || tracing::info!("inside"));
            });
            let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
            assert!(!text.contains(['\u{85}', '\u{2028}', '\u{2029}']), "{text}");
            assert_eq!(text.lines().count(), 2);
            if json_lines {
                let lines: Vec<serde_json::Value> =
                    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                assert_eq!(
                    (&lines[0]["agent"], &lines[0]["message"]),
                    (&text_with_separators.into(), &text_with_separators.into())
                );
                assert_eq!(lines[1]["request_id"], text_with_separators);
            }
        }
    }

    #[test]
    fn text_line_of_a_request_has_its_id() {
        let text = written(|out| {
            tracing_subscriber::fmt::layer()
                .event_format(pretty(false))
                .with_writer(move || out.clone())
        });
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].ends_with("INFO inside count=1 request_id=a\"b"), "{text}");
        assert!(lines[1].ends_with("INFO outside"), "{text}");
    }
}
