//! The SQL contract `analytics_v1`: its figures are those of `/v1/analytics`, its buckets are those
//! of our calendar, and nothing is removed from it.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc, Weekday};
use chrono_tz::Tz;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use verbatim::analytics::calendar::{Bucket, Calendar, Span};
use verbatim::analytics::catalog::{METRICS, Metric, Stat, Unit};
use verbatim::decode::Received;
use verbatim::store::ingest::{Row, write};

use super::app::TestApi;
use super::figures::follow;
use super::reference::{RANGES, deliveries};
use crate::support::database::TestDatabase;
use crate::support::reader::connect_as_reader;

/// Views and columns with their types, in order. External programs rely on each line: add lines,
/// and never change or remove one.
const CONTRACT: &str = include_str!("../../reference/analytics_v1.txt");

/// Returns a view, its column of time, and the SQL value of a metric over its rows.
fn value_of(metric: &str, stat: Stat) -> (&'static str, &'static str, String) {
    let of_sessions = |value: &str| ("sessions", "started_at", value.to_owned());
    let flag = |name: &str| format!("count(*) FILTER (WHERE x.{name})");
    let rate = |name: &str| format!("avg(x.{name}::integer)::double precision");
    let spread = |column: &str| match stat {
        Stat::Avg => format!("avg(x.{column})::double precision"),
        Stat::Max => format!("max(x.{column})::double precision"),
        Stat::P50 => format!("percentile_cont(0.5) WITHIN GROUP (ORDER BY x.{column})"),
        Stat::P90 => format!("percentile_cont(0.9) WITHIN GROUP (ORDER BY x.{column})"),
        Stat::P99 => format!("percentile_cont(0.99) WITHIN GROUP (ORDER BY x.{column})"),
        _ => panic!("{metric} has no {stat:?}"),
    };
    let role = |role: &str| format!("count(*) FILTER (WHERE x.role = '{role}')");
    match metric {
        "sessions" => of_sessions("count(x.id)"),
        "engaged_sessions" => of_sessions(&flag("engaged")),
        "engagement_rate" => of_sessions(&rate("engaged")),
        "silent_sessions" => of_sessions(&flag("silent")),
        "silent_rate" => of_sessions(&rate("silent")),
        "single_turn_sessions" => of_sessions(&flag("single_turn")),
        "single_turn_rate" => of_sessions(&rate("single_turn")),
        "incomplete_sessions" => of_sessions(&flag("incomplete")),
        "session_duration" => of_sessions(&spread("duration_seconds")),
        "messages_per_session" => of_sessions(&spread("message_count")),
        "turns_per_session" => of_sessions(&spread("turn_count")),
        "first_reply_gap" => of_sessions(&spread("first_reply_gap_seconds")),
        "longest_silence" => of_sessions(&spread("longest_silence_seconds")),
        "concurrent_sessions" => of_sessions(
            "(SELECT max(at_once) FROM (
                SELECT (
                    SELECT count(*) FROM analytics_v1.sessions AS s
                    WHERE s.started_at <= instant AND s.last_activity_at >= instant
                ) AS at_once
                FROM unnest(array_append(array_agg(x.started_at), b.start)) AS instant
            ) AS counted)",
        ),
        "visits" => ("visits", "started_at", "count(x.session_uuid)".to_owned()),
        "turns" => ("turns", "started_at", "count(x.id)".to_owned()),
        "messages" => ("messages", "occurred_at", "count(x.id)".to_owned()),
        "user_messages" => ("messages", "occurred_at", role("user")),
        "assistant_messages" => ("messages", "occurred_at", role("assistant")),
        "reply_gap" => ("messages", "occurred_at", spread("reply_gap_seconds")),
        "active_sessions" => ("events", "occurred_at", "count(DISTINCT x.session_uuid)".into()),
        "agents" => ("events", "occurred_at", "count(DISTINCT x.agent_id)".into()),
        _ => panic!("no SQL for {metric}: add it, and what it needs to the views"),
    }
}

/// Returns start, end, local start and value of each bucket.
async fn by_sql(
    reader: &mut PgConnection,
    metric: &str,
    stat: Stat,
    buckets: &str,
) -> Vec<(DateTime<Utc>, DateTime<Utc>, NaiveDateTime, Option<f64>)> {
    let (view, time, value) = value_of(metric, stat);
    let sql = format!(
        "SELECT b.start, b.end, b.local_start, ({value})::double precision AS value
         FROM {buckets} AS b
         LEFT JOIN analytics_v1.{view} AS x ON x.{time} >= b.start AND x.{time} < b.end
         GROUP BY b.start, b.end, b.local_start
         ORDER BY b.start"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(reader).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

/// Relative difference of a sum that is rounded in another order.
const ROUNDING: f64 = 1e-12;

/// Returns the allowed difference between the API and SQL, which is exact.
fn bound_of(metric: &Metric, stat: Stat) -> f64 {
    metric.error_bound.filter(|_| stat != Stat::Avg).unwrap_or(ROUNDING)
}

fn assert_same(of_http: &Value, of_sql: Option<f64>, bound: f64, what: &str) {
    let same = match (of_http.as_f64(), of_sql) {
        (Some(one), Some(other)) => (one - other).abs() <= other.abs() * bound,
        (one, other) => one == other,
    };
    assert!(same, "{what}: HTTP {of_http}, SQL {of_sql:?}");
}

fn time(row: &Value, name: &str) -> DateTime<Utc> {
    row[name].as_str().unwrap().parse().unwrap()
}

/// Returns a service with five weeks of deliveries and all facts.
pub(super) async fn world() -> TestApi {
    let api = TestApi::start().await;
    let mut connection = api.database.pool().acquire().await.unwrap();
    for batch in deliveries().chunks(200) {
        let received: Vec<Received> = batch.iter().cloned().map(Received::from).collect();
        let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
        write(&mut connection, &rows).await.unwrap();
    }
    drop(connection);
    follow(&api).await;
    api
}

#[actix_web::test]
async fn figures_by_sql_are_those_of_the_api() {
    let api = world().await;
    let mut reader = connect_as_reader(&api.database, false).await;
    let mut something: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, metric) in METRICS.iter().enumerate() {
        for (place, stat) in metric.statistics.iter().enumerate() {
            let stat_name = serde_json::to_value(stat).unwrap();
            let stat_name = stat_name.as_str().unwrap();
            let query = format!("metric={}&stat={stat_name}", metric.name);
            let bound = bound_of(metric, *stat);
            for (turn, (tz, from, to, bucket)) in RANGES.into_iter().enumerate() {
                if !(number + place + turn).is_multiple_of(3) {
                    continue;
                }
                let target = format!(
                    "/v1/analytics/timeseries?{query}&tz={tz}&from={from}&to={to}&bucket={bucket}"
                );
                let answer = api.get(&target).await;
                assert_eq!(answer.status, 200, "{target}: {}", answer.text());
                let body = answer.json();
                let buckets = format!(
                    "analytics_v1.buckets('{}', '{}', '{bucket}', '{tz}')",
                    body["from"].as_str().unwrap(),
                    body["to"].as_str().unwrap()
                );
                let rows = body["data"].as_array().unwrap();
                let of_sql = by_sql(&mut reader, metric.name, *stat, &buckets).await;
                assert_eq!(rows.len(), of_sql.len(), "{target}");
                for (row, (start, end, local_start, value)) in rows.iter().zip(of_sql) {
                    assert_eq!((time(row, "start"), time(row, "end")), (start, end), "{target}");
                    let local = local_start.format("%FT%T").to_string();
                    assert!(row["local_start"].as_str().unwrap().starts_with(&local), "{row}");
                    assert_same(&row[metric.name], value, bound, &format!("{target}: {row}"));
                    let is_something = value.is_some_and(|value| value != 0.0);
                    *something.entry(metric.name).or_default() += usize::from(is_something);
                }
            }
            let target = format!(
                "/v1/analytics/summary?{query}&from=2026-10-04T00:00:00Z&to=2026-11-05T00:00:00Z"
            );
            let summary = api.get(&target).await;
            assert_eq!(summary.status, 200, "{}", summary.text());
            let of_sql = by_sql_whole(&mut reader, metric.name, *stat).await;
            assert_same(&summary.json()["data"][0]["value"], of_sql, bound, &target);
        }
    }
    assert_eq!(something.len(), METRICS.len());
    assert!(something.values().all(|count| *count > 2), "{something:?}");
}

/// Returns the value over the range of the summaries.
async fn by_sql_whole(reader: &mut PgConnection, metric: &str, stat: Stat) -> Option<f64> {
    let (view, time, value) = value_of(metric, stat);
    let sql = format!(
        "SELECT ({value})::double precision
         FROM (
             SELECT '2026-10-04T00:00Z'::timestamptz AS start, '2026-11-05T00:00Z'::timestamptz AS \"end\"
         ) AS b
         LEFT JOIN analytics_v1.{view} AS x ON x.{time} >= b.start AND x.{time} < b.end
         GROUP BY b.start"
    );
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(reader).await.unwrap()
}

#[actix_web::test]
async fn quarters_add_up_to_the_figures_of_the_api() {
    let api = world().await;
    let mut reader = connect_as_reader(&api.database, false).await;
    let (from, to) = ("2026-10-04T00:00:00Z", "2026-11-05T00:00:00Z");
    let counts = METRICS.iter().filter(|metric| metric.additive);
    let averages = [
        ("session_duration", "session_duration_seconds", "sessions"),
        ("reply_gap", "reply_gap_seconds", "reply_gaps"),
        ("first_reply_gap", "first_reply_gap_seconds", "first_reply_gaps"),
        ("longest_silence", "longest_silence_seconds", "longest_silences"),
    ];
    let mut checks: Vec<(String, &str, String)> = counts
        .map(|metric| (metric.name.to_owned(), "count", format!("sum({})", metric.name)))
        .collect();
    for (metric, sum, count) in averages {
        checks.push((metric.to_owned(), "avg", format!("sum({sum}) / sum({count})")));
    }
    for (metric, stat, value) in checks {
        for agent in ["A", "B"] {
            let target = format!(
                "/v1/analytics/summary?metric={metric}&stat={stat}&from={from}&to={to}&agent_id={agent}"
            );
            let answer = api.get(&target).await;
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            let sql = format!(
                "SELECT ({value})::double precision FROM analytics_v1.activity_15m
                 WHERE start >= '{from}' AND start < '{to}' AND agent_id = '{agent}'"
            );
            let of_sql: Option<f64> =
                sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut reader).await.unwrap();
            let of_http = &answer.json()["data"][0]["value"];
            assert_same(of_http, of_sql, ROUNDING, &target);
            assert!(of_http.as_f64().is_some_and(|value| value > 0.0), "{target}: no value");
        }
    }
}

#[tokio::test]
async fn visits_and_turns_match_their_messages() {
    let api = world().await;
    let mut reader = connect_as_reader(&api.database, false).await;
    // Each is computed a second time, by numbering the messages of each session.
    let visits = "
        WITH numbered AS (
            SELECT *, count(*) FILTER (WHERE starts_visit) OVER (
                PARTITION BY session_uuid ORDER BY occurred_at, tie
            ) AS number
            FROM messages
        ),
        expected AS (
            SELECT session_uuid, number, min(occurred_at) AS first, max(occurred_at) AS last,
                count(*) AS messages, count(*) FILTER (WHERE role = 'user') AS users,
                count(*) FILTER (WHERE role = 'assistant') AS assistants,
                count(*) FILTER (WHERE starts_turn) AS turns
            FROM numbered GROUP BY 1, 2
        )
        SELECT count(*), count(v.number), count(*) FILTER (WHERE
            (v.first_message_at, v.last_message_at, v.message_count, v.user_message_count,
                v.assistant_message_count, v.turn_count)
            = (e.first, e.last, e.messages, e.users, e.assistants, e.turns)
            AND v.started_at <= v.first_message_at AND v.duration_seconds >= 0)
        FROM expected AS e FULL JOIN visits AS v USING (session_uuid, number)";
    let turns = "
        WITH numbered AS (
            SELECT *,
                count(*) FILTER (WHERE NOT repeats_turn) OVER along AS run,
                lead(is_reply) OVER along AS is_answered,
                lead(occurred_at) OVER along AS next_at,
                lead(silence_seconds) OVER along AS gap
            FROM messages
            WINDOW along AS (PARTITION BY session_uuid ORDER BY occurred_at, tie)
        ),
        expected AS (
            SELECT session_uuid, min(occurred_at) AS first, max(occurred_at) AS last,
                count(*) AS messages, max(next_at) FILTER (WHERE is_answered) AS reply_at,
                max(gap) FILTER (WHERE is_answered) AS gap,
                (array_agg(id ORDER BY occurred_at, tie))[1] AS id
            FROM numbered WHERE role = 'user' GROUP BY session_uuid, run
        )
        SELECT count(*), count(t.id), count(*) FILTER (WHERE
            (t.started_at, t.last_message_at, t.message_count) = (e.first, e.last, e.messages)
            AND (t.reply_at, t.reply_gap_seconds) IS NOT DISTINCT FROM (e.reply_at, e.gap))
        FROM expected AS e FULL JOIN turns AS t USING (session_uuid, id)";
    for query in [visits, turns] {
        let row = sqlx::query(query).fetch_one(&mut reader).await.unwrap();
        let (expected, found, same): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert!(expected > 50, "{expected}");
        assert_eq!((found, same), (expected, expected), "{query}");
    }
}

/// Zones with shifts by an hour and half an hour, at midnight, and without shifts.
const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/St_Johns",
];

#[tokio::test]
async fn buckets_by_sql_are_those_of_our_calendar() {
    let database = TestDatabase::create().await;
    let mut reader = connect_as_reader(&database, false).await;
    // At the start of a year, and at no start of any bucket.
    for (from, to) in [
        ("2024-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
        ("2024-03-29T22:17:31.5Z", "2027-11-07T05:40:00Z"),
    ] {
        let range = Span { from: from.parse().unwrap(), to: to.parse().unwrap() };
        for zone in ZONES {
            let calendar = Calendar { zone: zone.parse().unwrap(), week_starts: Weekday::Mon };
            for bucket in [Bucket::Hour, Bucket::Day, Bucket::Week, Bucket::Month] {
                compare_buckets(&mut reader, calendar, bucket, range).await;
            }
            let sundays = Calendar { week_starts: Weekday::Sun, ..calendar };
            compare_buckets(&mut reader, sundays, Bucket::Week, range).await;
            // The days on which clocks shift, in short buckets.
            for (from, to) in [
                ("2026-03-08T00:00:00Z", "2026-03-09T12:00:00Z"),
                ("2026-03-28T20:00:00Z", "2026-03-29T12:00:00Z"),
                ("2026-04-04T08:00:00Z", "2026-04-05T08:00:00Z"),
                ("2026-04-23T18:00:00Z", "2026-04-24T04:00:00Z"),
                ("2026-10-03T10:00:00Z", "2026-10-03T23:00:00Z"),
                ("2026-10-24T20:00:00Z", "2026-10-25T12:00:00Z"),
                ("2026-10-29T16:00:00Z", "2026-10-30T04:00:00Z"),
                ("2026-11-01T01:00:00Z", "2026-11-01T12:00:00Z"),
            ] {
                let range = Span { from: from.parse().unwrap(), to: to.parse().unwrap() };
                for bucket in [Bucket::Minute, Bucket::QuarterHour] {
                    compare_buckets(&mut reader, calendar, bucket, range).await;
                }
            }
        }
    }
}

async fn compare_buckets(
    reader: &mut PgConnection,
    calendar: Calendar,
    bucket: Bucket,
    range: Span,
) {
    let starts = format!("{:?}", calendar.week_starts);
    let starts = if starts == "Mon" { "monday" } else { "sunday" };
    let rows = sqlx::query(
        "SELECT start, \"end\", local_start, whole FROM analytics_v1.buckets($1, $2, $3, $4, $5)",
    )
    .bind(range.from)
    .bind(range.to)
    .bind(bucket.as_str())
    .bind(calendar.zone.name())
    .bind(starts)
    .fetch_all(reader)
    .await
    .unwrap();
    let what = format!("{} {} {range:?}", calendar.zone.name(), bucket.as_str());
    let mut expected = calendar.parts(bucket, range);
    for row in &rows {
        let part = expected.next().unwrap_or_else(|| panic!("{what}: too many"));
        let found = Span { from: row.get(0), to: row.get(1) };
        assert_eq!((found, row.get::<bool, _>(3)), (part.span, part.whole), "{what}");
        assert_eq!(row.get::<NaiveDateTime, _>(2), calendar.local(part.span.from), "{what}");
    }
    assert_eq!(expected.next(), None, "{what}: too few");
    assert!(!rows.is_empty());
}

#[tokio::test]
async fn days_that_do_not_exist_have_no_bucket() {
    let database = TestDatabase::create().await;
    let mut reader = connect_as_reader(&database, false).await;
    for (zone, from, to) in [
        ("Pacific/Apia", "2011-12-27T00:00:00Z", "2012-01-03T00:00:00Z"),
        ("America/St_Johns", "2010-11-04T12:00:00Z", "2010-11-10T12:00:00Z"),
        ("America/Sao_Paulo", "2018-11-01T12:00:00Z", "2018-11-08T12:00:00Z"),
    ] {
        let zone: Tz = zone.parse().unwrap();
        let calendar = Calendar { zone, week_starts: Weekday::Mon };
        let range = Span { from: from.parse().unwrap(), to: to.parse().unwrap() };
        for bucket in Bucket::ALL {
            compare_buckets(&mut reader, calendar, bucket, range).await;
        }
    }
}

#[tokio::test]
async fn buckets_reject_invalid_arguments() {
    let database = TestDatabase::create().await;
    let mut reader = connect_as_reader(&database, false).await;
    for (arguments, expected) in [
        ("'2026-01-02', '2026-01-02', 'day', 'UTC'", "the range of buckets is empty"),
        ("'2026-01-02', '2026-01-01', 'day', 'UTC'", "the range of buckets is empty"),
        ("'2026-01-01', 'infinity', 'day', 'UTC'", "buckets need a first and a last instant"),
        ("NULL, '2026-01-01', 'day', 'UTC'", "buckets need a first and a last instant"),
        ("'2026-01-01', '2026-01-02', 'century', 'UTC'", "unknown bucket: century"),
        ("'2026-01-01', '2026-01-02', NULL, 'UTC'", "unknown bucket"),
        ("'2026-01-01', '2026-01-02', 'day', NULL", "buckets need a time zone"),
        ("'2026-01-01', '2026-01-02', 'day', 'Mars/Base'", "time zone \"Mars/Base\" not"),
        ("'2026-01-01', '2026-01-02', 'day', 'UTC', 'someday'", "unknown day of the week"),
        ("'2020-01-01', '2026-01-01', 'minute', 'UTC'", "more than 50000 buckets"),
        ("'4000-01-01 BC', '290000-01-01', 'hour', 'Europe/Berlin'", "more than 50000 buckets"),
    ] {
        let sql = format!("SELECT count(*) FROM analytics_v1.buckets({arguments})");
        let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut reader).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{arguments}: {error}");
    }
}

/// Returns columns with their types and comments, by view.
pub(super) async fn columns(
    connection: &mut PgConnection,
) -> Vec<(String, String, String, Option<String>)> {
    let rows = sqlx::query(
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
             col_description(c.oid, a.attnum)
         FROM pg_class AS c
         JOIN pg_attribute AS a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'analytics_v1'::regnamespace AND a.attnum > 0
         ORDER BY c.relname, a.attnum",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

#[tokio::test]
async fn contract_is_pinned() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let mut found: Vec<String> = columns(&mut connection)
        .await
        .into_iter()
        .map(|(view, column, kind, _)| format!("{view}.{column} {kind}"))
        .collect();
    let function: String = sqlx::query_scalar(
        "SELECT pg_get_function_arguments(oid) || ' -> ' || pg_get_function_result(oid)
         FROM pg_proc WHERE pronamespace = 'analytics_v1'::regnamespace AND proname = 'buckets'",
    )
    .fetch_one(&mut *connection)
    .await
    .unwrap();
    found.push(format!("buckets({function})"));
    let pinned: Vec<&str> = CONTRACT.lines().collect();
    let kept: Vec<&str> =
        found.iter().map(String::as_str).filter(|line| pinned.contains(line)).collect();
    assert_eq!(
        kept, pinned,
        "external programs rely on each line of tests/reference/analytics_v1.txt"
    );
    let added: Vec<_> = found.iter().filter(|line| !pinned.contains(&line.as_str())).collect();
    assert!(added.is_empty(), "add to tests/reference/analytics_v1.txt: {added:#?}");
}

#[tokio::test]
async fn every_view_and_column_has_a_comment_that_agrees_with_the_catalogue() {
    let database = TestDatabase::create().await;
    let mut connection = database.pool().acquire().await.unwrap();
    let comments: BTreeMap<(String, String), String> = columns(&mut connection)
        .await
        .into_iter()
        .map(|(view, column, _, comment)| {
            let comment = comment.unwrap_or_else(|| panic!("{view}.{column} has no comment"));
            assert!(comment.ends_with('.'), "{view}.{column}: {comment}");
            ((view, column), comment)
        })
        .collect();
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'analytics_v1'::regnamespace
             AND obj_description(oid, 'pg_class') IS NULL
         UNION ALL
         SELECT proname::text FROM pg_proc
         WHERE pronamespace = 'analytics_v1'::regnamespace
             AND obj_description(oid, 'pg_proc') IS NULL",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(silent.is_empty(), "no comment: {silent:?}");
    let columns_of = |metric: &str| -> Vec<(&str, String)> {
        match metric {
            "engaged_sessions" | "silent_sessions" | "single_turn_sessions" => vec![
                ("activity_15m", metric.to_owned()),
                ("sessions", metric.trim_end_matches("_sessions").to_owned()),
            ],
            "incomplete_sessions" => vec![("sessions", "incomplete".to_owned())],
            "session_duration" => vec![("sessions", "duration_seconds".to_owned())],
            "messages_per_session" => vec![("sessions", "message_count".to_owned())],
            "turns_per_session" => vec![("sessions", "turn_count".to_owned())],
            "reply_gap" => vec![("messages", "reply_gap_seconds".to_owned())],
            "first_reply_gap" | "longest_silence" => {
                vec![("sessions", format!("{metric}_seconds"))]
            }
            // Ratios are quotients. These belong to no single column.
            "active_sessions" | "concurrent_sessions" | "agents" => Vec::new(),
            metric => vec![("activity_15m", metric.to_owned())],
        }
    };
    for metric in METRICS.iter().filter(|metric| metric.unit != Unit::Ratio) {
        for (view, column) in columns_of(metric.name) {
            let comment = &comments[&(view.to_owned(), column.clone())];
            let agrees = comment.starts_with(metric.description);
            assert!(agrees, "{view}.{column}: {comment:?} and not {:?}", metric.description);
        }
    }
}
