//! `GET /v1/analytics/catalog`, and its page in the documentation.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;
use verbatim::analytics::catalog::{METRICS, Metric, Unit};
use verbatim::store::keys::Scope;

use super::app::TestApi;

/// Returns the spelling in the API.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

fn words<T: Serialize>(values: &[T]) -> String {
    values.iter().map(|value| format!("`{}`", word(value))).collect::<Vec<_>>().join(", ")
}

fn edges(metric: &Metric) -> String {
    let unit = if metric.unit == Unit::Seconds { " s" } else { "" };
    let edges: Vec<_> = metric.histogram_edges.iter().map(f64::to_string).collect();
    if edges.is_empty() { String::new() } else { format!("{}{unit}", edges.join(", ")) }
}

/// Returns the content of `docs/reference/metrics-catalog.md`.
fn page() -> String {
    let mut page = "# Metrics catalogue\n\n\
        Made from the code by `make metrics-catalog`; `GET /v1/analytics/catalog` returns the same as data.\n\n\
        The first statistic is the default. A metric that adds up has the same total over buckets, agents and \
        sources as over the whole.\n"
        .to_owned();
    for metric in &METRICS {
        let adds_up = if metric.additive { "yes" } else { "no" };
        let exact = metric.error_bound.map_or("yes".into(), |bound| format!("within {bound}"));
        let _ = write!(
            page,
            "\n## `{}`\n\n{}\n\n| | |\n| --- | --- |\n| label | {} |\n| unit | `{}` |\n\
             | statistics | {} |\n| counted at | `{}` |\n| adds up | {adds_up} |\n\
             | exact | {exact} |\n| `group_by` | {} |\n",
            metric.name,
            metric.description,
            metric.label,
            word(metric.unit),
            words(metric.statistics),
            word(metric.attribution),
            words(metric.group_by),
        );
        if !metric.histogram_edges.is_empty() {
            let _ = writeln!(page, "| histogram edges | {} |", edges(metric));
        }
    }
    page
}

#[test]
fn page_of_the_documentation_matches_the_code() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/metrics-catalog.md");
    if std::env::var_os("RENEW_METRICS_CATALOG").is_some() {
        std::fs::write(&file, page()).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == page(), "docs/reference/metrics-catalog.md: run `make metrics-catalog`");
}

#[actix_web::test]
async fn catalogue_lists_every_metric_for_an_analytics_key() {
    let api = TestApi::start().await;
    let figures = api.key(&[Scope::Analytics], Some(&["A"])).await;
    let answer = api.get_as(&figures, "/v1/analytics/catalog").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(answer.column("name"), names);
    let all = answer.json()["data"].as_array().unwrap().clone();
    let reply_gap = all.iter().find(|metric| metric["name"] == "reply_gap").unwrap();
    assert_eq!(reply_gap["unit"], "seconds");
    assert_eq!(reply_gap["statistics"], serde_json::json!(["avg", "p50", "p90", "p99", "max"]));
    assert_eq!(reply_gap["attribution"], "reply");
    assert_eq!(reply_gap["additive"], false);
    assert_eq!((&reply_gap["exact"], &reply_gap["error_bound"]), (&false.into(), &0.01.into()));

    let tag = answer.header("etag").unwrap().to_owned();
    let headers = [("X-API-Key", &*figures), ("If-None-Match", &*tag)];
    assert_eq!(api.send("GET", "/v1/analytics/catalog", &headers).await.status, 304);

    let reader = api.key(&[Scope::Read], None).await;
    let refused = api.get_as(&reader, "/v1/analytics/catalog").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "forbidden"));
    let unknown = api.get_as(&figures, "/v1/analytics/catalog?metric=visits").await;
    assert_eq!(unknown.code(), "invalid_parameter");
}
