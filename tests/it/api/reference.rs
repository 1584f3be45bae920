//! Figures agree with those of a program in another language that reads only the raw deliveries.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use verbatim::analytics::catalog::{Attribution, METRICS, Metric};
use verbatim::decode::Received;
use verbatim::domain::visits::VisitGaps;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Roles, SourceName};
use verbatim::store::facts::{FactRules, Followed, check, follow_next};
use verbatim::store::ingest::{Row, write};

use super::app::{BOOTSTRAP, TestApi};
use crate::support::programs::program;

/// Number of generated sessions.
const SESSIONS: u64 = 140;
/// Deliveries in one batch of the drain.
const BATCH: usize = 37;

/// Numbers that look random and are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Returns the time `seconds` after 1 October 2026.
fn at(seconds: u64) -> DateTime<Utc> {
    let start: DateTime<Utc> = "2026-10-01T00:00:00Z".parse().unwrap();
    start + TimeDelta::seconds(i64::try_from(seconds).unwrap())
}

/// Returns deliveries of five weeks in which many zones shift their clocks: late, duplicated,
/// undated, from clocks that are ahead, and in any order.
pub(super) fn deliveries() -> Vec<Arrival> {
    let mut numbers = Numbers(7);
    let mut all = Vec::new();
    for session in 0..SESSIONS {
        let agent = ["A", "B", "C"][usize::try_from(numbers.below(3)).unwrap()];
        let source = ["default", "lobby"][usize::try_from(numbers.below(2)).unwrap()];
        let mut second = numbers.below(35 * 86_400);
        if !numbers.one_in(5) {
            let room = ["hall", "lobby", "garden", ""][usize::try_from(numbers.below(4)).unwrap()];
            let mut data = json!({ "session_id": format!("s{session}") });
            if !room.is_empty() {
                data["room_name"] = room.into();
            }
            add(
                &mut all,
                &mut numbers,
                source,
                &json!({ "event_type": "room.join", "agent_id": agent, "data": data }),
                second,
            );
        }
        for _ in 0..numbers.below(14) {
            second += [2, 5, 9, 40, 400, 3_000][usize::try_from(numbers.below(6)).unwrap()];
            let role = ["user", "user", "assistant", "assistant", "bot", "User", "system"]
                [usize::try_from(numbers.below(7)).unwrap()];
            let text = if numbers.one_in(30) {
                "torn \u{0} text".to_owned()
            } else {
                some_text(&mut numbers)
            };
            let data = json!({ "session_id": format!("s{session}"), "role": role, "message": text, "n": all.len() });
            add(
                &mut all,
                &mut numbers,
                source,
                &json!({ "event_type": "chat.push", "agent_id": agent, "data": data }),
                second,
            );
        }
        if numbers.one_in(6) {
            let data = json!({ "session_id": format!("s{session}") });
            add(
                &mut all,
                &mut numbers,
                source,
                &json!({ "event_type": "session.end", "agent_id": agent, "data": data }),
                second + 60,
            );
        }
    }
    for place in (1..all.len()).rev() {
        all.swap(place, usize::try_from(numbers.below(place as u64 + 1)).unwrap());
    }
    all
}

/// Returns a text that several sessions have, or nearly: texts that differ in case, and long ones
/// that differ late.
fn some_text(numbers: &mut Numbers) -> String {
    match numbers.below(8) {
        0 => "hello".to_owned(),
        1 => "Hello".to_owned(),
        2 => "opening hours?".to_owned(),
        3 => format!("{} {}", "äh … ".repeat(50), numbers.below(2)),
        _ => "text".to_owned(),
    }
}

fn add(all: &mut Vec<Arrival>, numbers: &mut Numbers, source: &str, body: &Value, second: u64) {
    let mut body = body.clone();
    if !numbers.one_in(25) {
        body["timestamp"] = at(second).timestamp().into();
    }
    if numbers.one_in(3) && body.get("timestamp").is_some() {
        body["data"]["timestamp"] = (at(second).timestamp() - 1).into();
    }
    let delay = match numbers.below(20) {
        0 => 86_400 * 2,
        1 => 3_600,
        _ => numbers.below(4),
    };
    // One in forty is from a clock that is ahead.
    let received = if numbers.one_in(40) { second.saturating_sub(500) } else { second + delay };
    let copies = if numbers.one_in(8) { 2 } else { 1 };
    for copy in 0..copies {
        // No two arrive at the same microsecond.
        let micros = TimeDelta::microseconds(i64::try_from(all.len()).unwrap());
        let received_at = at(received + copy * 30) + micros;
        all.push(Arrival {
            id: DeliveryId::new(received_at),
            received_at,
            source: SourceName::parse(source).unwrap(),
            evidence: Evidence { signed: true, ..Evidence::default() },
            body: body.to_string().into(),
        });
    }
}

/// Time zone, range of local dates, and bucket.
pub(super) const RANGES: [(&str, &str, &str, &str); 11] = [
    ("UTC", "2026-10-01", "2026-11-09", "week"),
    ("UTC", "2026-10-10", "2026-10-12", "15m"),
    ("Europe/Berlin", "2026-10-24", "2026-10-27", "hour"),
    ("Europe/Berlin", "2026-10-01", "2026-11-06", "day"),
    ("America/New_York", "2026-10-31", "2026-11-02", "hour"),
    ("Asia/Kolkata", "2026-10-01", "2026-11-06", "day"),
    ("Asia/Kathmandu", "2026-10-05", "2026-10-07", "hour"),
    ("Australia/Lord_Howe", "2026-10-03", "2026-10-05", "hour"),
    ("Africa/Cairo", "2026-10-29", "2026-10-31", "hour"),
    ("Africa/Cairo", "2026-10-25", "2026-11-04", "day"),
    ("America/St_Johns", "2026-10-31", "2026-11-03", "day"),
];

/// Returns requests for every metric and statistic over ranges in turn, as a whole and by group.
fn requests() -> Vec<Value> {
    let mut requests = Vec::new();
    for (number, metric) in METRICS.iter().enumerate() {
        for (place, stat) in metric.statistics.iter().enumerate() {
            for (turn, (tz, from, to, bucket)) in RANGES.into_iter().enumerate() {
                // Some of the ranges for each group, all of them for the whole.
                if !(number + place + turn).is_multiple_of(3) {
                    continue;
                }
                let group_by = match (number + turn / 3) % 3 {
                    0 if metric.name != "agents" => json!("agent"),
                    1 => json!("source"),
                    _ => json!(null),
                };
                requests.push(json!({ "kind": "timeseries", "metric": metric.name, "stat": stat,
                    "tz": tz, "from": from, "to": to, "bucket": bucket, "group_by": group_by }));
            }
        }
    }
    requests
}

/// Returns requests for distributions, heatmaps and largest groups over ranges in turn.
fn other_requests() -> Vec<Value> {
    let mut requests = Vec::new();
    for (number, metric) in METRICS.iter().enumerate() {
        let name = metric.name;
        for (turn, (tz, from, to, _)) in RANGES.into_iter().enumerate() {
            let range = json!({ "metric": name, "tz": tz, "from": from, "to": to });
            let mut push = |kind: &str, more: Value| {
                let mut request = range.clone();
                request["kind"] = kind.into();
                request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                requests.push(request);
            };
            if !metric.histogram_edges.is_empty() {
                let edges: Vec<_> = metric.histogram_edges.iter().map(f64::to_string).collect();
                let edges = ["0.5,2,5.5,40,400.000001", &edges.join(",")][turn % 2].to_owned();
                let group_by = [json!(null), json!("agent"), json!("source")][turn % 3].clone();
                push("distribution", json!({ "edges": edges, "group_by": group_by }));
            }
            // Each needs some time in Python.
            if metric.adds_up() && (number + turn).is_multiple_of(4) {
                push("heatmap", json!({}));
            }
            for (place, by) in ["agent", "source", "room", "first_message"].into_iter().enumerate()
            {
                let of_session = metric.attribution == Attribution::SessionStart;
                let by_message = [Attribution::MessageTime, Attribution::TurnStart]
                    .contains(&metric.attribution);
                // Half of the ranges for each.
                let in_turn = (number + place + turn).is_multiple_of(2);
                if in_turn && (of_session || by_message && place < 2) {
                    let stat = metric.statistics[turn % metric.statistics.len()];
                    let limit = [2, 3, 100][(turn + place) % 3];
                    push(
                        "top",
                        json!({ "by": by, "stat": stat, "limit": limit, "by_message": by_message,
                            "adds_up": metric.adds_up() }),
                    );
                }
            }
        }
    }
    requests
}

/// Returns the results of the program in Python.
fn reference(python: &Path, given: &Value) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/figures.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = given.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the reference failed; its error is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn micros(row: &Value, name: &str) -> i64 {
    row[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap().timestamp_micros()
}

fn is_same(found: &Value, expected: &Value) -> bool {
    is_within(found, expected, 1e-12)
}

/// Returns true if a number differs from another by no more than a fraction of it.
fn is_within(found: &Value, expected: &Value, bound: f64) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= other.abs() * bound,
        (one, other) => one == other,
    }
}

/// Compares the bins of a distribution, and returns the number of values.
fn compare_bins(request: &Value, answer: &Value, expected: &Value) -> usize {
    let column = if request["group_by"] == "agent" { "agent_id" } else { "source" };
    let rows = answer["data"].as_array().unwrap();
    let mut all = 0;
    let mut groups = 0;
    for group in expected.as_array().unwrap() {
        let of_group = rows.iter().filter(|row| row[column] == group["group"]);
        let mut found: Vec<_> = of_group.map(|row| row["count"].as_u64().unwrap()).collect();
        let mut counts: Vec<_> = group["counts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|count| count.as_u64().unwrap())
            .collect();
        let total: u64 = counts.iter().sum();
        if found.len() + 1 == counts.len() {
            assert_eq!(counts.remove(0), 0, "{request}: no value is below 0");
        }
        // A group without any value has no rows.
        if found.is_empty() && total == 0 {
            found.clone_from(&counts);
        } else {
            groups += 1;
        }
        assert_eq!(found, counts, "{request}: {group}");
        all += usize::try_from(total).unwrap();
    }
    assert_eq!(answer["statistics"].as_array().unwrap().len(), groups, "{request}");
    all
}

/// Compares the hours of a heatmap, and returns the number of those above 0.
fn compare_hours(request: &Value, answer: &Value, expected: &Value) -> usize {
    let metric = request["metric"].as_str().unwrap();
    let weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let (rows, expected) = (answer["data"].as_array().unwrap(), expected.as_array().unwrap());
    assert_eq!((rows.len(), expected.len()), (168, 168));
    let mut something = 0;
    for (row, wanted) in rows.iter().zip(expected) {
        let weekday = usize::try_from(wanted["cell"][0].as_u64().unwrap()).unwrap();
        assert_eq!(row["weekday"], weekdays[weekday - 1]);
        assert_eq!(row["hour"], wanted["cell"][1]);
        assert!(is_same(&row["hours"], &wanted["hours"]), "{request}: {row} and not {wanted}");
        assert!(is_same(&row[metric], &wanted["value"]), "{request}: {row} and not {wanted}");
        something += usize::from(row[metric].as_f64().is_some_and(|value| value != 0.0));
    }
    something
}

/// Compares the largest groups and the others, and returns the number of those above 0.
fn compare_top(request: &Value, answer: &Value, expected: &Value) -> usize {
    let metric = request["metric"].as_str().unwrap();
    let by = request["by"].as_str().unwrap();
    let column = match by {
        "agent" => "agent_id",
        "room" => "room_name",
        by => by,
    };
    let (rows, groups) =
        (answer["data"].as_array().unwrap(), expected["groups"].as_array().unwrap());
    assert_eq!(rows.len(), groups.len(), "{request}: {answer} and not {expected}");
    for (row, group) in rows.iter().zip(groups) {
        assert_eq!(row[column], group[0], "{request}: {answer} and not {expected}");
        assert!(is_same(&row[metric], &group[1]), "{request}: {row} and not {group}");
    }
    assert_eq!(answer["other"]["groups"], expected["others"], "{request}");
    assert!(is_same(&answer["other"][metric], &expected["other"]), "{request}: {answer}");
    rows.iter().filter(|row| row[metric].as_f64().is_some_and(|value| value != 0.0)).count()
}

/// Compares the rows of an answer with the reference, and returns the number of those above 0.
fn compare(request: &Value, answer: &[Value], expected: &[Value]) -> usize {
    let metric = request["metric"].as_str().unwrap();
    let column = if request["group_by"] == "agent" { "agent_id" } else { "source" };
    let bound = Metric::find(metric).unwrap().error_bound;
    let bound = bound.filter(|_| request["stat"] != "avg").unwrap_or(1e-12);
    let key = |start, group: Option<&str>| (start, group.map(str::to_owned));
    let mut answered = HashMap::new();
    for row in answer {
        let group = request["group_by"].as_str().and_then(|_| row[column].as_str());
        let there = (micros(row, "end"), row[metric].clone());
        answered.insert(key(micros(row, "start"), group), there);
    }
    let nothing = if Metric::find(metric).unwrap().unit == verbatim::analytics::catalog::Unit::Count
        && !metric.ends_with("_per_session")
    {
        json!(0)
    } else {
        Value::Null
    };
    let mut something = 0;
    for row in expected {
        let start = row["start"].as_i64().unwrap();
        let end = row["end"].as_i64().unwrap();
        // A group without values in the range has no rows.
        let found = answered.remove(&key(start, row["group"].as_str()));
        let (found_end, found) = found.unwrap_or((end, nothing.clone()));
        assert_eq!(found_end, end, "{request}");
        assert!(is_within(&found, &row["value"], bound), "{request}: {found} and not {row}");
        something += usize::from(row["value"].as_f64().is_some_and(|value| value != 0.0));
    }
    assert!(answered.is_empty(), "{request}: {answered:?} are in no bucket of the reference");
    something
}

#[actix_web::test]
async fn every_metric_agrees_with_a_reference_over_the_raw_deliveries() {
    let Some(python) = program("python3") else { return };
    let api = TestApi::start().await;
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    let mut connection = api.database.options().connect().await.unwrap();
    let arrivals = deliveries();
    for (number, batch) in arrivals.chunks(BATCH).enumerate() {
        let received: Vec<Received> = batch.iter().cloned().map(Received::from).collect();
        let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
        write(&mut connection, &rows).await.unwrap();
        if number.is_multiple_of(3) {
            follow_next(&mut connection, &rules, true).await.unwrap();
        }
    }
    let erased = ["s3", "s40", "s77"];
    for session in erased {
        let key = [("X-API-Key", BOOTSTRAP)];
        let done = api.send("DELETE", &format!("/v1/sessions/{session}"), &key).await;
        assert_eq!(done.status, 200, "{}", done.text());
    }
    while follow_next(&mut connection, &rules, true).await.unwrap() != Followed::Nothing {}
    let report = check(&mut connection, &rules).await.unwrap();
    assert!(report.is_clean(), "{report:?}");

    let requests = [requests(), other_requests()].concat();
    let as_given = |one: &Arrival| {
        json!({ "source": one.source.as_str(), "received_us": one.received_at.timestamp_micros(),
            "body": str::from_utf8(&one.body).unwrap() })
    };
    let given = json!({
        "deliveries": arrivals.iter().map(as_given).collect::<Vec<_>>(),
        "erased": erased,
        "visit_gap_us": u64::try_from(VisitGaps::DEFAULT.as_micros()).unwrap(),
        "requests": requests,
    });
    let expected = tokio::task::spawn_blocking(move || reference(&python, &given)).await.unwrap();
    let mut something: HashMap<String, usize> = HashMap::new();
    for (request, expected) in requests.iter().zip(&expected) {
        let kind = request["kind"].as_str().unwrap();
        let mut target = format!("/v1/analytics/{kind}?");
        for name in
            ["metric", "stat", "tz", "from", "to", "bucket", "group_by", "edges", "by", "limit"]
        {
            match &request[name] {
                Value::Null => {}
                Value::String(text) => write!(target, "{name}={text}&").unwrap(),
                other => write!(target, "{name}={other}&").unwrap(),
            }
        }
        let answer = api.get(&target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let answer = answer.json();
        let found = match kind {
            "timeseries" => {
                compare(request, answer["data"].as_array().unwrap(), expected.as_array().unwrap())
            }
            "distribution" => compare_bins(request, &answer, expected),
            "heatmap" => compare_hours(request, &answer, expected),
            _ => compare_top(request, &answer, expected),
        };
        let what = format!("{kind} {} {}", request["metric"], request["by"]);
        *something.entry(what).or_default() += found;
    }
    let kinds = |kind: &str| something.keys().filter(|what| what.starts_with(kind)).count();
    assert_eq!(kinds("timeseries"), METRICS.len());
    assert_eq!((kinds("distribution"), kinds("heatmap")), (6, 13));
    assert!(something.values().all(|count| *count > 2), "{something:?}");
}
