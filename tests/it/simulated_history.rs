//! `simulate --since`: the simulated history in the figures of the API.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, FixedOffset, TimeDelta, Timelike as _};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use verbatim::clock::Clock;
use verbatim::domain::Roles;
use verbatim::domain::visits::VisitGaps;
use verbatim::store::facts::{FactRules, Followed, follow_next};

use crate::support::app::{App, SECRET};
use crate::support::command::{figure, stderr, stdout, verbatim};

/// Sessions of the history: few, so that the test is quick.
const SESSIONS: i64 = 96;
const DAYS: u64 = 28;

/// Sends the history to a service, and computes its facts.
async fn simulate(app: &App) {
    let url = format!("{}/webhook", app.address);
    let (since, sessions) = (format!("{DAYS}d"), SESSIONS.to_string());
    let args = ["simulate", "--url", &url, "--secret", SECRET, "--since", &since];
    let output = verbatim(&[&args[..], &["--sessions", &sessions, "--seed", "11"]].concat()).await;
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(figure(&stdout(&output), "sessions"), usize::try_from(SESSIONS).unwrap());
    app.drained().await;
    let rules = FactRules::of(&VisitGaps::default(), &Roles::default());
    let mut connection = app.database.options().connect().await.unwrap();
    while follow_next(&mut connection, &rules, true).await.unwrap() != Followed::Nothing {
        tokio::task::yield_now().await;
    }
}

/// Rows of a time series of the whole period, in the time zone of Berlin.
async fn rows(app: &App, query: &str) -> Vec<Value> {
    let today = app.clock.now().with_timezone(&chrono_tz::Europe::Berlin).date_naive();
    let (from, to) = (today - Days::new(DAYS + 1), today + Days::new(2));
    let path = format!("/v1/analytics/timeseries?tz=Europe/Berlin&from={from}&to={to}&{query}");
    let answer = app.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

fn count(row: &Value, metric: &str) -> i64 {
    row[metric].as_i64().unwrap()
}

fn sum(rows: &[Value], metric: &str) -> i64 {
    rows.iter().map(|row| count(row, metric)).sum()
}

fn local_start(row: &Value) -> DateTime<FixedOffset> {
    row["local_start"].as_str().unwrap().parse().unwrap()
}

#[actix_web::test]
async fn simulated_history_has_a_rhythm_and_every_kind_of_session() {
    let app = App::start().await;
    // The command uses the machine's time, so the service does, too.
    app.clock.set(Clock::system().now() + TimeDelta::minutes(1));
    simulate(&app).await;
    daily_and_weekly_rhythm(&app).await;
    kiosks_and_silent_or_abandoned_sessions(&app).await;
}

async fn daily_and_weekly_rhythm(app: &App) {
    let weeks = rows(app, "bucket=week&metric=sessions").await;
    assert_eq!(sum(&weeks, "sessions"), SESSIONS);
    // The first and last bucket may have a single day.
    for week in &weeks[1..weeks.len() - 1] {
        assert!(count(week, "sessions") > 5, "{week}");
    }
    let days =
        rows(app, "bucket=day&metric=sessions&agent_id=A91XMB7113&agent_id=A63JWN9058").await;
    let (mut workdays, mut weekends) = (0, 0);
    for day in &days {
        let is_weekend = local_start(day).weekday().num_days_from_monday() >= 5;
        *(if is_weekend { &mut weekends } else { &mut workdays }) += count(day, "sessions");
    }
    assert!(workdays > 5 * weekends, "{workdays} on workdays, {weekends} on weekends");
    let mut hours: BTreeMap<u32, i64> = BTreeMap::new();
    for hour in rows(app, "bucket=hour&metric=sessions&agent_id=A91XMB7113").await {
        *hours.entry(local_start(&hour).hour()).or_default() += count(&hour, "sessions");
    }
    let (by_day, by_night): (i64, i64) =
        (hours.range(8..18).map(|one| one.1).sum(), hours.range(..6).map(|one| one.1).sum());
    assert!(by_day > 10 && by_night < 2, "{hours:?}");
}

async fn kiosks_and_silent_or_abandoned_sessions(app: &App) {
    let metrics = "bucket=week&metric=sessions&metric=visits&metric=silent_sessions\
                   &metric=single_turn_sessions&metric=incomplete_sessions&metric=reply_gap";
    let agents = rows(app, &format!("{metrics}&group_by=agent")).await;
    for metric in ["silent_sessions", "single_turn_sessions", "incomplete_sessions"] {
        let some = sum(&agents, metric);
        assert!(some > 2 && some < SESSIONS / 2, "{some} {metric}");
    }
    let of = |agent: &str| -> Vec<Value> {
        agents.iter().filter(|row| row["agent_id"] == agent).cloned().collect()
    };
    let kiosk = of("A15BRC3316");
    assert!(sum(&kiosk, "visits") > 5 * sum(&kiosk, "sessions"), "{kiosk:?}");
    let clara = of("A91XMB7113");
    assert!(sum(&clara, "visits") <= sum(&clara, "sessions"), "{clara:?}");
    let gap = |agent: &str| {
        let gaps: Vec<f64> = of(agent).iter().filter_map(|row| row["reply_gap"].as_f64()).collect();
        gaps.iter().sum::<f64>() / f64::from(u32::try_from(gaps.len()).unwrap())
    };
    assert!(gap("A72GYS2945") > gap("A15BRC3316") + 2.0, "some agents answer slowly");
}

#[actix_web::test]
async fn history_shorter_than_a_day_or_longer_than_five_years_is_rejected() {
    for since in ["10m", "6y", "yesterday"] {
        let args = ["simulate", "--url", "http://127.0.0.1:9/", "--since", since];
        let output = verbatim(&args).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--since"), "{}", stderr(&output));
    }
}
