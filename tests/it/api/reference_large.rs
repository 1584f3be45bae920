//! Every metric, statistic and grouping agrees with a program in another language over 200,000
//! deliveries, in zones with unusual shifts. A summary is the sum of its time series.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use verbatim::analytics::catalog::{Dimension, METRICS, Metric, Stat, Unit};
use verbatim::decode::Received;
use verbatim::domain::visits::VisitGaps;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Roles, SourceName};
use verbatim::store::Store;
use verbatim::store::erase::Tally;
use verbatim::store::facts::{FactRules, Followed, follow_next};
use verbatim::store::ingest::{Row, write};
use verbatim::store::retention::Limits;

use super::app::{BOOTSTRAP, TestApi};
use crate::support::programs::program;

/// Number of deliveries without the environment variable.
const DELIVERIES: usize = 200_000;
/// Environment variable with another number.
const DELIVERIES_VARIABLE: &str = "REFERENCE_DELIVERIES";
/// Deliveries in one batch of the drain.
const BATCH: usize = 1_000;
/// First day of the deliveries, and number of days.
const START: &str = "2026-03-01T00:00:00Z";
const DAYS: u64 = 255;

/// Instants at which the zones of [`RANGES`] shift their clocks.
const SHIFTS: [&str; 10] = [
    "2026-03-08T05:30:00Z",
    "2026-03-08T07:00:00Z",
    "2026-03-29T01:00:00Z",
    "2026-04-04T15:00:00Z",
    "2026-04-23T22:00:00Z",
    "2026-10-03T15:30:00Z",
    "2026-10-25T01:00:00Z",
    "2026-10-29T21:00:00Z",
    "2026-11-01T04:30:00Z",
    "2026-11-01T06:00:00Z",
];

/// Time zone, range of local dates, and bucket.
const RANGES: [(&str, &str, &str, &str); 16] = [
    ("UTC", "2026-02-20", "2026-11-20", "month"),
    ("UTC", "2026-10-10", "2026-10-12", "15m"),
    ("Europe/Berlin", "2026-03-28", "2026-03-31", "hour"),
    ("Europe/Berlin", "2026-10-24", "2026-10-27", "hour"),
    ("Europe/Berlin", "2026-09-28", "2026-11-02", "week"),
    ("America/New_York", "2026-03-07", "2026-03-10", "hour"),
    ("America/New_York", "2026-10-31", "2026-11-03", "hour"),
    ("Asia/Kolkata", "2026-03-25", "2026-04-10", "day"),
    ("Asia/Kathmandu", "2026-10-05", "2026-10-07", "hour"),
    ("Australia/Lord_Howe", "2026-04-04", "2026-04-06", "hour"),
    ("Australia/Lord_Howe", "2026-10-03", "2026-10-05", "hour"),
    ("Africa/Cairo", "2026-04-22", "2026-04-26", "hour"),
    ("Africa/Cairo", "2026-10-25", "2026-11-04", "day"),
    ("America/St_Johns", "2026-03-07", "2026-03-09", "hour"),
    ("America/St_Johns", "2026-10-31", "2026-11-02", "hour"),
    ("America/St_Johns", "2026-10-26", "2026-11-05", "day"),
];

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

    fn of<T: Copy>(&mut self, some: &[T]) -> T {
        some[usize::try_from(self.below(some.len() as u64)).unwrap()]
    }
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Deliveries in the order in which they are written.
struct Deliveries {
    numbers: Numbers,
    all: Vec<Arrival>,
}

impl Deliveries {
    /// Returns sessions over three quarters of a year, more of them where clocks shift: late,
    /// duplicated, undated, from clocks that are ahead, out of order, and some of several days.
    fn make(count: usize) -> Vec<Arrival> {
        let mut making = Self { numbers: Numbers(13), all: Vec::with_capacity(count + 500) };
        let mut session = 0;
        while making.all.len() < count {
            making.add_session(session);
            session += 1;
        }
        let Self { mut numbers, mut all } = making;
        all.truncate(count);
        all.sort_by_key(|one| one.received_at);
        // Swaps neighbours, and moves some far behind their arrival.
        for place in 1..all.len() {
            let back = if numbers.one_in(60) { 20_000 } else { 40 };
            let back = usize::try_from(numbers.below(back)).unwrap().min(place);
            all.swap(place - back, place);
        }
        all
    }

    fn add_session(&mut self, session: u64) {
        let numbers = &mut self.numbers;
        let agent = format!("agent-{}", numbers.below(9));
        let source = numbers.of(&["default", "default", "lobby", "desk"]);
        let room = numbers.of(&["hall", "hall", "foyer"]);
        let day = match numbers.below(4) {
            0 => numbers.below(DAYS),
            1 => 4 + numbers.below(34),
            _ => 205 + numbers.below(45),
        };
        let mut at = instant(START).timestamp_micros() + micros(day * 86_400);
        at += micros(numbers.below(86_400));
        if numbers.one_in(4) {
            at = instant(numbers.of(&SHIFTS)).timestamp_micros() - micros(numbers.below(10_000));
        }
        let id = format!("s{session}");
        let body = |kind: &str, data: Value| json!({ "event_type": kind, "agent_id": agent, "data": data });
        if !numbers.one_in(5) {
            let data = json!({ "session_id": id, "room_name": room });
            self.add(source, body("room.join", data), at);
        }
        let length = match self.numbers.below(10) {
            0..6 => self.numbers.below(12),
            6..9 => 10 + self.numbers.below(30),
            _ => 60 + self.numbers.below(120),
        };
        for number in 0..length {
            let numbers = &mut self.numbers;
            let seconds = numbers.of(&[0, 2, 3, 5, 9, 12, 40, 400]);
            let seconds = if numbers.one_in(60) { numbers.below(90_000) } else { seconds };
            at += micros(seconds) + i64::try_from(numbers.below(1_000_000)).unwrap();
            let role =
                numbers.of(&["user", "user", "assistant", "assistant", "bot", "User", "system"]);
            let text = if numbers.one_in(200) { "torn \u{0} text" } else { "text" };
            let data = json!({ "session_id": id, "role": role, "message": text, "n": number });
            self.add(source, body("chat.push", data), at);
        }
        if self.numbers.one_in(6) {
            let data = json!({ "session_id": id });
            self.add(source, body("session.end", data), at + micros(60));
        }
    }

    fn add(&mut self, source: &str, mut body: Value, at: i64) {
        let numbers = &mut self.numbers;
        #[expect(clippy::cast_precision_loss, reason = "the sender writes a float")]
        let seconds = at as f64 / 1e6;
        if !numbers.one_in(40) {
            body["timestamp"] = seconds.into();
            if numbers.one_in(3) {
                body["data"]["timestamp"] = (seconds.floor() - 1.0).into();
            }
        }
        let delay = match numbers.below(40) {
            0 => 86_400 * 2,
            1 | 2 => 3_600,
            _ => numbers.below(4),
        };
        let ahead = if numbers.one_in(40) { 500 } else { 0 };
        for copy in 0..=u64::from(numbers.one_in(8)) {
            // No two arrive at the same microsecond.
            let second = at.div_euclid(1_000_000) * 1_000_000;
            let received = second + micros(delay + copy * 30) - micros(ahead);
            let received = received + i64::try_from(self.all.len()).unwrap();
            let received_at = DateTime::from_timestamp_micros(received).unwrap();
            self.all.push(Arrival {
                id: DeliveryId::new(received_at),
                received_at,
                source: SourceName::parse(source).unwrap(),
                evidence: Evidence { signed: true, ..Evidence::default() },
                body: body.to_string().into(),
            });
        }
    }
}

fn micros(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap() * 1_000_000
}

/// Agent that is erased when half of the deliveries are written.
const ERASED_AGENT: &str = "agent-8";

/// Sessions that are erased when half of the deliveries are written. Some exist by then, and some
/// have later deliveries.
fn erased(arrivals: &[Arrival]) -> BTreeSet<String> {
    let half = &arrivals[..arrivals.len() / 2 - BATCH];
    let some = half.iter().rev().step_by(half.len() / 9).filter_map(|one| {
        let body: Value = serde_json::from_slice(&one.body).unwrap();
        let is_other = body["agent_id"] != ERASED_AGENT;
        is_other.then(|| body["data"]["session_id"].as_str().unwrap().to_owned())
    });
    some.collect()
}

/// Time before which each source's conversations are expired. Two are within shifts of clocks.
fn expired() -> BTreeMap<&'static str, DateTime<Utc>> {
    BTreeMap::from([
        ("default", instant("2026-03-08T06:10:00Z")),
        ("desk", instant("2026-03-02T00:00:00Z")),
        ("lobby", instant("2026-10-03T16:00:00Z")),
    ])
}

/// Writes everything, and computes the facts.
async fn prepare(api: &TestApi, arrivals: &[Arrival], end: DateTime<Utc>) {
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    let mut connection = api.database.options().connect().await.unwrap();
    let mut following = api.database.options().connect().await.unwrap();
    for (number, batch) in arrivals.chunks(BATCH).enumerate() {
        let received: Vec<Received> = batch.iter().cloned().map(Received::from).collect();
        let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
        let (written, followed) =
            tokio::join!(write(&mut connection, &rows), follow_next(&mut following, &rules, true));
        written.unwrap();
        followed.unwrap();
        if number == (arrivals.len() / 2).div_ceil(BATCH) {
            erase(api, &erased(arrivals)).await;
        }
    }
    while follow_next(&mut following, &rules, true).await.unwrap() != Followed::Nothing {}
    let of_source = |(source, until): (&str, DateTime<Utc>)| (source.to_owned(), Some(until));
    let of_sources = expired().into_iter().map(of_source).collect();
    let store = Store::new(api.database.pool().clone());
    let mut tally = Tally::default();
    let limits = Limits { usual: None, of_sources };
    store.delete_expired_sessions(&limits, end, &mut tally).await.unwrap();
    assert!(tally.of("sessions") > 0 && tally.of("messages") > tally.of("sessions"), "{tally:?}");
    while follow_next(&mut following, &rules, true).await.unwrap() != Followed::Nothing {}
}

async fn erase(api: &TestApi, sessions: &BTreeSet<String>) {
    let key = [("X-API-Key", BOOTSTRAP)];
    let sessions = sessions.iter().map(|session| format!("/v1/sessions/{session}"));
    for path in sessions.chain([format!("/v1/agents/{ERASED_AGENT}")]) {
        let done = api.send("DELETE", &path, &key).await;
        assert_eq!(done.status, 200, "{path}: {}", done.text());
    }
}

/// Figures of one request.
#[derive(Clone)]
struct Request {
    tz: &'static str,
    from: &'static str,
    to: &'static str,
    /// `None` is a summary.
    bucket: Option<&'static str>,
    group_by: Option<Dimension>,
    room: Option<&'static str>,
    metrics: Figures,
}

/// Metrics, each with a statistic.
type Figures = Vec<(&'static Metric, Stat)>;

/// Returns requests for every metric, statistic and grouping, in every range.
fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for (turn, (tz, from, to, bucket)) in RANGES.into_iter().enumerate() {
        let room = (turn % 5 == 4).then_some("foyer");
        let every = METRICS
            .iter()
            .flat_map(|metric| metric.statistics.iter().map(move |stat| (metric, *stat)));
        let whole = Request {
            tz,
            from,
            to,
            bucket: None,
            group_by: None,
            room,
            metrics: every.clone().collect(),
        };
        requests.push(whole.clone());
        let dimensions =
            [Dimension::Agent, Dimension::Source, Dimension::Role, Dimension::Flag].map(Some);
        for group_by in [None].into_iter().chain(dimensions) {
            // A request has one statistic for all of its metrics.
            let mut by_stat: Vec<(Option<Stat>, Figures)> = Vec::new();
            for (metric, stat) in every.clone() {
                if group_by.is_some_and(|by| !metric.group_by.contains(&by)) {
                    continue;
                }
                let spread = metric.statistics.contains(&Stat::Avg);
                let key = spread.then_some(stat);
                match by_stat.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, metrics)) => metrics.push((metric, stat)),
                    None => by_stat.push((key, vec![(metric, stat)])),
                }
            }
            requests.extend(by_stat.into_iter().map(|(_, metrics)| Request {
                bucket: Some(bucket),
                group_by,
                metrics,
                ..whole.clone()
            }));
        }
    }
    requests
}

fn dimension(group_by: Dimension) -> (&'static str, &'static str) {
    match group_by {
        Dimension::Agent => ("agent", "agent_id"),
        Dimension::Source => ("source", "source"),
        Dimension::Role => ("role", "role"),
        Dimension::Flag => ("flag", "flag"),
    }
}

fn stat_name(stat: Stat) -> String {
    json!(stat).as_str().unwrap().to_owned()
}

impl Request {
    fn target(&self) -> String {
        use std::fmt::Write as _;
        let path = if self.bucket.is_some() { "timeseries" } else { "summary" };
        let Self { tz, from, to, .. } = self;
        let mut target = format!("/v1/analytics/{path}?tz={tz}&from={from}&to={to}");
        if let Some(bucket) = self.bucket {
            let _ = write!(target, "&bucket={bucket}");
            for (metric, _) in &self.metrics {
                let _ = write!(target, "&metric={}", metric.name);
            }
            if self.metrics[0].0.statistics.contains(&Stat::Avg) {
                let _ = write!(target, "&stat={}", stat_name(self.metrics[0].1));
            }
        }
        if let Some(by) = self.group_by {
            let _ = write!(target, "&group_by={}", dimension(by).0);
        }
        if let Some(room) = self.room {
            let _ = write!(target, "&room_name={room}");
        }
        target
    }

    fn as_json(&self) -> Value {
        let metrics: Vec<_> = self
            .metrics
            .iter()
            .map(|(metric, stat)| json!([metric.name, stat_name(*stat)]))
            .collect();
        json!({ "tz": self.tz, "from": self.from, "to": self.to, "bucket": self.bucket,
            "group_by": self.group_by.map(|by| dimension(by).0), "room": self.room,
            "metrics": metrics })
    }
}

/// A row: start, end, group, values.
type Rows = Vec<(i64, i64, Option<String>, Vec<Value>)>;

/// Returns the results of the program in Python.
fn reference(python: &Path, arrivals: &[Arrival], requests: &[Request]) -> Vec<Rows> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/large.py");
    let mut child = Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = BufWriter::new(child.stdin.take().unwrap());
    let expired = expired().into_iter().map(|(source, at)| (source, at.timestamp_micros()));
    let given = json!({
        "erased": erased(arrivals),
        "erased_agents": [ERASED_AGENT],
        "expired": expired.collect::<BTreeMap<_, _>>(),
        "visit_gap_us": u64::try_from(VisitGaps::DEFAULT.as_micros()).unwrap(),
        "requests": requests.iter().map(Request::as_json).collect::<Vec<_>>(),
    });
    writeln!(stdin, "{given}").unwrap();
    for one in arrivals {
        let body = str::from_utf8(&one.body).unwrap();
        let delivery = (one.source.as_str(), one.received_at.timestamp_micros(), body);
        serde_json::to_writer(&mut stdin, &delivery).unwrap();
        stdin.write_all(b"\n").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the reference failed; its error is above");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns true if two figures are the same up to the last bits of a float, or within the error
/// bound of the catalogue.
fn same((metric, stat): (&Metric, Stat), one: &Value, other: &Value) -> bool {
    let bound = metric.error_bound.filter(|_| stat != Stat::Avg).unwrap_or(1e-12);
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= other.abs() * bound,
        _ => one == other,
    }
}

/// Returns the value of a metric without data.
fn empty_value(metric: &Metric) -> Value {
    let is_count = metric.unit == Unit::Count && !metric.statistics.contains(&Stat::Avg);
    if is_count { json!(0) } else { Value::Null }
}

/// Compares an answer, and counts by metric the figures that have data.
fn compare(
    request: &Request,
    answer: &Value,
    expected: &Rows,
    something: &mut HashMap<&'static str, usize>,
) {
    let target = request.target();
    let data = answer["data"].as_array().unwrap();
    if request.bucket.is_none() {
        let values = &expected[0].3;
        assert_eq!(data.len(), values.len(), "{target}");
        for ((row, (metric, stat)), value) in data.iter().zip(&request.metrics).zip(values) {
            assert_eq!(
                (row["metric"].as_str(), row["stat"].as_str()),
                (Some(metric.name), Some(&*stat_name(*stat)))
            );
            assert!(same((metric, *stat), &row["value"], value), "{target}: {row} and not {value}");
        }
        return;
    }
    let time = |row: &Value, name: &str| {
        row[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap().timestamp_micros()
    };
    let group =
        |row: &Value| request.group_by.map(|by| row[dimension(by).1].as_str().unwrap().to_owned());
    let mut answered: HashMap<(i64, Option<String>), &Value> = HashMap::new();
    for row in data {
        assert!(
            answered.insert((time(row, "start"), group(row)), row).is_none(),
            "{target}: {row}"
        );
    }
    for (start, end, group, values) in expected {
        // A group without values in the range has no rows.
        let row = answered.remove(&(*start, group.clone()));
        if let Some(row) = row {
            assert_eq!(time(row, "end"), *end, "{target}");
        }
        for ((metric, stat), value) in request.metrics.iter().zip(values) {
            let found = row.map_or_else(|| empty_value(metric), |row| row[metric.name].clone());
            let of = || format!("{} {} of {group:?}", metric.name, stat_name(*stat));
            assert!(
                same((metric, *stat), &found, value),
                "{target}: {}: {found} and not {value}",
                of()
            );
            let some = value.as_f64().is_some_and(|value| value != 0.0);
            *something.entry(metric.name).or_default() += usize::from(some);
        }
    }
    assert!(answered.is_empty(), "{target}: {answered:?} are in no bucket of the reference");
}

/// Compares the sum of a time series with the summary of its range.
fn adds_up(request: &Request, answer: &Value, summary: &Value) {
    let whole = summary["data"].as_array().unwrap();
    for (metric, _) in request.metrics.iter().filter(|(metric, _)| metric.additive) {
        let whole = whole.iter().find(|one| one["metric"] == metric.name).unwrap();
        let rows = answer["data"].as_array().unwrap().iter();
        let sum: i64 = rows.map(|row| row[metric.name].as_i64().unwrap()).sum();
        assert_eq!(whole["value"].as_i64(), Some(sum), "{} of {}", metric.name, request.target());
    }
}

fn deliveries_wanted() -> usize {
    std::env::var(DELIVERIES_VARIABLE).map_or(DELIVERIES, |number| number.parse().unwrap())
}

#[actix_web::test]
#[expect(clippy::print_stderr, reason = "prints the time of each step, with --no-capture")]
async fn every_figure_agrees_with_a_reference_over_200_000_deliveries() {
    let Some(python) = program("python3") else { return };
    let began = Instant::now();
    let lap = |what: &str| eprintln!("{:>6.1} s  {what}", began.elapsed().as_secs_f64());
    let arrivals = Deliveries::make(deliveries_wanted());
    lap("deliveries are generated");
    let end = arrivals.iter().map(|one| one.received_at).max().unwrap() + TimeDelta::days(1);
    let first = TestApi::start().await;
    // The erasures follow all deliveries, and the deleted ones are not written again.
    let api = first.beside(end);
    let requests = requests();
    let expected = {
        let (arrivals, requests) = (arrivals.clone(), requests.clone());
        tokio::task::spawn_blocking(move || reference(&python, &arrivals, &requests))
    };
    prepare(&api, &arrivals, end).await;
    lap("facts are computed");
    let expected = expected.await.unwrap();
    lap("the reference is computed");
    let (mut something, mut summary) = (HashMap::new(), Value::Null);
    for (request, expected) in requests.iter().zip(&expected) {
        let target = request.target();
        let answer = api.get(&target).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        let answer = answer.json();
        compare(request, &answer, expected, &mut something);
        match (request.bucket, request.group_by) {
            (None, _) => summary = answer,
            // A session may have several flags.
            (_, Some(Dimension::Flag)) => {}
            _ => adds_up(request, &answer, &summary),
        }
    }
    lap(&format!("{} answers agree", requests.len()));
    assert_eq!(something.len(), METRICS.len());
    assert!(something.values().all(|count| *count > 20), "{something:?}");
}
