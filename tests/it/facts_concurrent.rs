//! Facts under concurrency: writers, erasures, retention and several followers on one database,
//! with connections that break at random. Facts and answers are right at each moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use tokio::sync::watch;
use verbatim::decode::Received;
use verbatim::domain::visits::VisitGaps;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Roles, SourceName};
use verbatim::inbox::Depth;
use verbatim::jobs::facts::{FactsFollower, Rebuilt, rebuild};
use verbatim::store::erase::Tally;
use verbatim::store::facts::{FactRules, Followed, check};
use verbatim::store::ingest::{Row, write};
use verbatim::store::retention::Limits;
use verbatim::store::{Store, StoreError};

use crate::support::app::{App, now};
use crate::support::database::TestDatabase;

const SEED: u64 = 20_261_130;
const SESSIONS: u64 = 56;
/// Erasures, retention runs and one rebuild, which take turns.
const REMOVALS: usize = 12;
const AGENTS: [&str; 4] = ["A", "B", "C", "D"];
/// Journal entries by which writers may be ahead of facts. More than one batch of a follower.
const MAX_AHEAD: i64 = 6;
/// Names of the followers' connections.
const FOLLOWERS: [&str; 2] = ["facts follower 1", "facts follower 2"];
/// Range that contains all deliveries.
const RANGE: &str = "from=2026-09-20&to=2026-10-02";

fn rules() -> FactRules {
    FactRules::of(&VisitGaps::default(), &Roles::default())
}

/// Sessions of the three days before the time of the tests: with and without joins, in several
/// visits, with late, duplicate and undated deliveries.
fn deliveries(rng: &mut StdRng) -> Vec<Arrival> {
    let mut all = Vec::new();
    for session in 0..SESSIONS {
        let agent = AGENTS[usize::try_from(session).unwrap() % AGENTS.len()];
        let mut at = now() - TimeDelta::seconds(rng.random_range(4_000..3 * 86_400));
        let id = format!("s{session}");
        if !rng.random_ratio(1, 6) {
            let data = json!({ "session_id": id, "room_name": "hall" });
            let body = json!({ "event_type": "room.join", "agent_id": agent, "data": data });
            all.push((body, at));
        }
        for number in 0..rng.random_range(1..24) {
            at += TimeDelta::seconds([1, 4, 20, 700][rng.random_range(0..4)]);
            let role = ["user", "assistant"][rng.random_range(0..2)];
            let data = json!({ "session_id": id, "role": role, "message": format!("{number}") });
            let body = json!({ "event_type": "chat.push", "agent_id": agent, "data": data });
            all.push((body, at));
        }
    }
    all.sort_by_key(|(_, at)| *at);
    // Many sessions grow at once, and deliveries close in time arrive in any order.
    for some in all.chunks_mut(60) {
        some.shuffle(rng);
    }
    let mut arrivals = Vec::new();
    for (mut body, at) in all {
        if !rng.random_ratio(1, 12) {
            body["timestamp"] = at.timestamp().into();
        }
        for _ in 0..=usize::from(rng.random_ratio(1, 8)) {
            arrivals.push(arrival(&body, at, arrivals.len()));
        }
    }
    arrivals
}

fn arrival(body: &Value, at: DateTime<Utc>, number: usize) -> Arrival {
    let received_at = at + TimeDelta::microseconds(i64::try_from(number).unwrap());
    Arrival {
        id: DeliveryId::new(received_at),
        received_at,
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: body.to_string().into(),
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("40P01"))
}

/// Shared state of a run.
struct Run<'a> {
    app: &'a App,
    /// Steps of the followers.
    steps: watch::Sender<usize>,
    /// All writers and removals have finished.
    done: AtomicBool,
    broken: AtomicUsize,
    answers: AtomicUsize,
    checks: AtomicUsize,
}

impl Run<'_> {
    fn database(&self) -> &TestDatabase {
        &self.app.database
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Writes deliveries in small batches as a drain does, not far ahead of the followers.
    async fn write(&self, arrivals: &[Arrival], mut rng: StdRng) {
        let mut steps = self.steps.subscribe();
        let mut connection = self.database().options().connect().await.unwrap();
        let mut rest = arrivals;
        while !rest.is_empty() {
            let (batch, left) = rest.split_at(rng.random_range(1..16).min(rest.len()));
            let received: Vec<Received> = batch.iter().cloned().map(Received::from).collect();
            let rows: Vec<Row<'_>> = received.iter().map(Row::from).collect();
            // The drain retries a batch that Postgres rolled back because of a deadlock.
            while let Err(error) = write(&mut connection, &rows).await {
                assert!(is_deadlock(&error), "{error:?}");
            }
            rest = left;
            while self.entries_to_follow().await > MAX_AHEAD {
                steps.changed().await.unwrap();
            }
        }
    }

    /// Counts the journal entries that are not in facts yet.
    async fn entries_to_follow(&self) -> i64 {
        sqlx::query_scalar(
            "SELECT (SELECT seq FROM journal_head) - (SELECT seq FROM facts_position)",
        )
        .fetch_one(self.database().pool())
        .await
        .unwrap()
    }

    /// Follows as a service does, until nothing is left to follow.
    async fn follow(&self, name: &str) {
        let (_, depth) = watch::channel(Depth::default());
        let options = self.database().options().application_name(name);
        let mut follower = FactsFollower::new(options, rules(), depth);
        loop {
            let is_done = self.is_done();
            let step = follower.run_once().await;
            // Not while the other follower is at work.
            if matches!(step, Ok(Followed::Entries(_) | Followed::Nothing)) {
                self.steps.send_modify(|steps| *steps += 1);
            }
            match step {
                Ok(Followed::Nothing) if is_done => return,
                Ok(step) => assert_ne!(step, Followed::OtherRules),
                Err(_) => drop(self.broken.fetch_add(1, Ordering::Relaxed)),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Breaks a follower's connection every few steps.
    async fn break_connections(&self, mut rng: StdRng) {
        let mut steps = self.steps.subscribe();
        let mut pause = 3;
        while !self.is_done() {
            steps.changed().await.unwrap();
            pause -= 1;
            if pause == 0 {
                pause = rng.random_range(2..9);
                sqlx::query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE application_name = $1 AND datname = current_database()",
                )
                .bind(FOLLOWERS[rng.random_range(0..FOLLOWERS.len())])
                .execute(self.database().pool())
                .await
                .unwrap();
            }
        }
    }

    /// Erases sessions and an agent, deletes what is older than some hours, and rebuilds, in turns.
    async fn remove(&self, mut rng: StdRng) {
        let mut steps = self.steps.subscribe();
        let store = Store::new(self.database().pool().clone());
        for number in 0..REMOVALS {
            for _ in 0..rng.random_range(3..9) {
                steps.changed().await.unwrap();
            }
            if number == 6 {
                self.rebuild().await;
                continue;
            }
            if number % 3 == 2 {
                let age = TimeDelta::hours(60 - i64::try_from(number).unwrap());
                let limits = Limits { usual: Some(now() - age), of_sources: BTreeMap::new() };
                // The job retries a failed run.
                let mut tally = Tally::default();
                loop {
                    match store.delete_expired_sessions(&limits, now(), &mut tally).await {
                        Ok(true) => break,
                        // The connection of the failed run has not ended yet.
                        Ok(false) => {}
                        Err(StoreError::Unavailable(error)) => {
                            assert!(is_deadlock(&error), "{error:?}");
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
                continue;
            }
            let path = match number {
                7 => "/v1/agents/D".to_owned(),
                _ => format!("/v1/sessions/s{}", rng.random_range(0..SESSIONS)),
            };
            let mut answer = self.app.ask("DELETE", &path).await;
            while answer.status == 503 {
                answer = self.app.ask("DELETE", &path).await;
            }
            assert!([200, 404].contains(&answer.status), "{path}: {answer:?}");
        }
    }

    /// Rebuilds all facts while the followers run.
    async fn rebuild(&self) {
        let rebuilt = rebuild(self.database().options(), &rules()).await.unwrap();
        assert_ne!(rebuilt, Rebuilt::OtherRules);
    }

    /// Compares facts with stored messages until the run ends.
    async fn check(&self) {
        let mut connection = self.database().options().connect().await.unwrap();
        while !self.is_done() {
            let report = check(&mut connection, &rules()).await.unwrap();
            // Before the first step there are no rules.
            assert!(report.is_clean() || !report.same_rules, "{report:?}");
            self.checks.fetch_add(usize::from(report.sessions > 0), Ordering::Relaxed);
        }
    }

    /// Reads figures from different tables until the run ends.
    async fn read(&self) {
        while !self.is_done() {
            for split in ["bucket=day&group_by=agent", "bucket=month"] {
                let rows = one_answer(self.app, split).await;
                assert_consistent(&rows);
                self.answers.fetch_add(usize::from(!rows.is_empty()), Ordering::Relaxed);
            }
        }
    }
}

/// Returns rows with counts of messages and sessions and averages over sessions, from one answer.
async fn one_answer(app: &App, split: &str) -> Vec<Value> {
    let metrics = [
        "messages",
        "user_messages",
        "assistant_messages",
        "turns",
        "sessions",
        "engaged_sessions",
        "silent_sessions",
        "messages_per_session",
        "turns_per_session",
    ];
    let metrics = metrics.map(|metric| format!("&metric={metric}")).concat();
    let answer = app.get(&format!("/v1/analytics/timeseries?{RANGE}&{split}{metrics}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().clone()
}

/// Panics if an answer mixes figures of different moments.
fn assert_consistent(rows: &[Value]) {
    let mut totals: BTreeMap<Option<String>, BTreeMap<&str, f64>> = BTreeMap::new();
    for row in rows {
        let of = totals.entry(row["agent_id"].as_str().map(str::to_owned)).or_default();
        let figure = |name: &str| row[name].as_f64().unwrap_or(0.0);
        for count in ["messages", "user_messages", "assistant_messages", "turns"] {
            *of.entry(count).or_default() += figure(count);
        }
        for count in ["sessions", "engaged_sessions", "silent_sessions"] {
            *of.entry(count).or_default() += figure(count);
        }
        for average in ["messages_per_session", "turns_per_session"] {
            *of.entry(average).or_default() += figure(average) * figure("sessions");
        }
    }
    for (agent, of) in totals {
        let same = |one: f64, other: f64, what: &str| {
            assert!((one - other).abs() < 1e-6, "{what} of {agent:?}: {of:?}");
        };
        same(of["messages"], of["user_messages"] + of["assistant_messages"], "messages by role");
        same(of["messages"], of["messages_per_session"], "messages of sessions");
        same(of["turns"], of["turns_per_session"], "turns of sessions");
        // A session can be stored before its late messages.
        let known = of["engaged_sessions"] + of["silent_sessions"];
        assert!(of["sessions"] >= known, "sessions of {agent:?}: {of:?}");
    }
}

/// Returns the sum of a metric over the rows of a time series.
async fn total(app: &App, metric: &str, split: &str) -> i64 {
    let path = format!("/v1/analytics/timeseries?{RANGE}&metric={metric}&{split}");
    let answer = app.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].as_array().unwrap().iter().map(|row| row[metric].as_i64().unwrap()).sum()
}

/// All facts.
async fn facts(database: &TestDatabase) -> Vec<String> {
    let mut facts = Vec::new();
    for query in [
        "SELECT to_jsonb(f)::text FROM message_facts f ORDER BY session_id, occurred_at, id",
        "SELECT to_jsonb(f)::text FROM presence_facts f ORDER BY session_id, id",
        "SELECT to_jsonb(f)::text FROM session_facts f ORDER BY session_id",
        "SELECT to_jsonb(a)::text FROM activity a WHERE sessions + messages + visits <> 0
         ORDER BY level, agent_id, starts_at, source",
        "SELECT to_jsonb(g)::text FROM reply_gaps g WHERE bins <> '{}'
         ORDER BY level, agent_id, starts_at, source",
    ] {
        let rows = sqlx::query_scalar::<_, String>(query).fetch_all(database.pool());
        facts.extend(rows.await.unwrap());
    }
    facts
}

#[actix_web::test]
async fn facts_stay_right_while_writers_erasures_and_broken_followers_run_at_once() {
    let app = App::start().await;
    let mut rng = StdRng::seed_from_u64(SEED);
    let arrivals = deliveries(&mut rng);
    // Each session is written by both.
    let (some, others): (Vec<_>, Vec<_>) = arrivals.into_iter().partition(|_| rng.random_bool(0.5));
    let run = Run {
        app: &app,
        steps: watch::channel(0).0,
        done: AtomicBool::new(false),
        broken: AtomicUsize::new(0),
        answers: AtomicUsize::new(0),
        checks: AtomicUsize::new(0),
    };
    let seed = |number: u64| StdRng::seed_from_u64(SEED + number);
    let changes = async {
        tokio::join!(run.write(&some, seed(1)), run.write(&others, seed(2)), run.remove(seed(3)),);
        run.done.store(true, Ordering::Relaxed);
    };
    tokio::join!(
        changes,
        run.follow(FOLLOWERS[0]),
        run.follow(FOLLOWERS[1]),
        run.break_connections(seed(4)),
        run.check(),
        run.read(),
    );
    for (what, count) in
        [("breaks", &run.broken), ("answers", &run.answers), ("checks", &run.checks)]
    {
        let count = count.load(Ordering::Relaxed);
        assert!(count >= 3, "{count} {what}");
    }

    let mut connection = app.database.options().connect().await.unwrap();
    let report = check(&mut connection, &rules()).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.pending, 0);
    assert!(report.sessions > 20, "{report:?}");
    for metric in ["sessions", "messages", "visits", "turns"] {
        let path = format!("/v1/analytics/summary?{RANGE}&metric={metric}");
        let whole = app.get(&path).await.json()["data"][0]["value"].as_i64().unwrap();
        for split in ["bucket=hour", "bucket=day&group_by=agent", "bucket=week&group_by=source"] {
            assert_eq!(total(&app, metric, split).await, whole, "{metric} by {split}");
        }
    }
    let before = facts(&app.database).await;
    run.rebuild().await;
    assert!(before == facts(&app.database).await, "a rebuild changes facts");
}
