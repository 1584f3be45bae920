//! Facts of analytics. The same deliveries give the same facts in any order and batches. Facts are
//! deleted with their messages.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;
use verbatim::analytics::bins::bin;
use verbatim::clock::Clock;
use verbatim::domain::completeness::examine;
use verbatim::domain::visits::VisitGaps;
use verbatim::domain::{Arrival, Roles, SessionId, SourceName};
use verbatim::inbox::Depth;
use verbatim::jobs::facts::{FactsFollower, Rebuilt, compare, rebuild};
use verbatim::store::erase::{BeginOutcome, NewErasure, Target};
use verbatim::store::facts::{CheckReport, FactRules, FactsLag, Followed, check, follow_next};
use verbatim::store::retention::Limits;
use verbatim::store::sessions::{Found, SessionKey};
use verbatim::store::{Order, PageRequest, Store};

use crate::projection::{arrival, deliveries_and_course, empty, write_all};
use crate::support::command::{stderr, stdout, verbatim};
use crate::support::database::TestDatabase;

/// The property test's deliveries are seconds apart, so its visits need a short gap.
fn rules_with_gap(seconds: u64) -> FactRules {
    let gaps = VisitGaps::new(Duration::from_secs(seconds), HashMap::new());
    FactRules::of(&gaps, &Roles::default())
}

fn rules() -> FactRules {
    rules_with_gap(1)
}

/// Follows the journal to its end.
async fn catch_up(connection: &mut PgConnection, rules: &FactRules) {
    while follow_next(connection, rules, true).await.unwrap() != Followed::Nothing {}
}

/// All facts.
async fn facts(pool: &PgPool) -> Vec<String> {
    let mut facts = Vec::new();
    for query in [
        "SELECT to_jsonb(f)::text FROM message_facts f ORDER BY session_id, occurred_at, id",
        "SELECT to_jsonb(f)::text FROM presence_facts f ORDER BY session_id, id",
        "SELECT to_jsonb(f)::text FROM session_facts f ORDER BY session_id",
        "SELECT to_jsonb(a)::text FROM activity a WHERE sessions + messages + visits <> 0
         ORDER BY level, agent_id, starts_at, source",
        "SELECT to_jsonb(v)::text FROM visit_facts v ORDER BY session_id, number",
        "SELECT to_jsonb(g)::text FROM reply_gaps g WHERE bins <> '{}'
         ORDER BY level, agent_id, starts_at, source",
    ] {
        facts.extend(sqlx::query_scalar::<_, String>(query).fetch_all(pool).await.unwrap());
    }
    facts
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn delete_everything(pool: &PgPool) {
    empty(pool).await;
    sqlx::raw_sql(
        "DELETE FROM message_facts; DELETE FROM presence_facts; DELETE FROM session_facts;
         DELETE FROM visit_facts; DELETE FROM activity; DELETE FROM reply_gaps;
         UPDATE facts_position SET seq = 0",
    )
    .execute(pool)
    .await
    .unwrap();
}

fn assert_clean(report: &CheckReport) {
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn facts_do_not_depend_on_order_batches_and_repetitions() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, connection) = runtime.block_on(async {
        let database = TestDatabase::create().await;
        let connection = database.options().connect().await.unwrap();
        (database, Mutex::new(connection))
    });
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&deliveries_and_course(), |(bodies, course)| {
        runtime.block_on(async {
            let mut connection = connection.lock().await;
            let pool = database.pool();
            let of =
                |(attempt, number): (usize, &usize)| arrival(&bodies[*number], *number, attempt);
            let arrivals: Vec<Arrival> = course.order.iter().enumerate().map(of).collect();
            let mut in_order = arrivals.clone();
            in_order.sort_by_key(|one| one.received_at);
            delete_everything(pool).await;
            for one in in_order {
                write_all(&mut connection, &[one]).await;
            }
            catch_up(&mut connection, &rules()).await;
            let plain = facts(pool).await;

            delete_everything(pool).await;
            let (mut rest, mut turn) = (arrivals.as_slice(), 0);
            while !rest.is_empty() {
                let (size, follow) = course.batches[turn % course.batches.len()];
                turn += 1;
                let (batch, left) = rest.split_at(size.min(rest.len()));
                rest = left;
                write_all(&mut connection, batch).await;
                if follow {
                    catch_up(&mut connection, &rules()).await;
                    assert_clean(&check(&mut connection, &rules()).await.unwrap());
                }
            }
            catch_up(&mut connection, &rules()).await;
            assert_clean(&check(&mut connection, &rules()).await.unwrap());
            prop_assert_eq!(facts(pool).await, plain);
            Ok(())
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// Deliveries of conversations, with times in seconds after [`BASE`].
struct Talk(Vec<Arrival>);

const BASE: i64 = 1_790_600_000;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(BASE + seconds, 0).unwrap()
}

fn id_of(session: &str) -> Uuid {
    SessionId::of(&SourceName::default(), "A", session).0
}

impl Talk {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn deliver(mut self, body: &serde_json::Value, received: i64) -> Self {
        let mut one = arrival(&body.to_string(), self.0.len(), 0);
        one.received_at = at(received);
        self.0.push(one);
        self
    }

    fn join(self, session: &str, seconds: i64) -> Self {
        let body = serde_json::json!({ "event_type": "room.join", "agent_id": "A",
            "timestamp": BASE + seconds, "data": { "session_id": session, "room_name": "hall" } });
        self.deliver(&body, seconds)
    }

    fn message(self, session: &str, seconds: i64, role: &str) -> Self {
        let text = format!("{role} at {seconds}");
        let body = serde_json::json!({ "event_type": "chat.push", "agent_id": "A",
            "timestamp": BASE + seconds,
            "data": { "session_id": session, "role": role, "message": text } });
        self.deliver(&body, seconds)
    }
}

/// A kiosk's day with three visits, and a conversation without answers.
fn day() -> Talk {
    Talk::new()
        .join("kiosk", 0)
        .message("kiosk", 5, "assistant")
        .message("kiosk", 10, "user")
        .message("kiosk", 13, "bot")
        .join("kiosk", 1_000)
        .message("kiosk", 1_100, "user")
        .message("kiosk", 1_101, "user")
        .message("kiosk", 1_109, "assistant")
        .message("kiosk", 5_000, "assistant")
        .message("mute", 20, "user")
        .message("mute", 90, "user")
}

#[tokio::test]
async fn facts_agree_with_visits_and_completeness() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    write_all(&mut connection, &day().0).await;
    let rules = rules_with_gap(300);
    catch_up(&mut connection, &rules).await;
    let store = Store::new(database.pool().clone());
    for session in ["kiosk", "mute"] {
        let key = SessionKey { session_id: session, agent_id: None, source: None, visible: None };
        let Found::One(row) = store.find_session(key).await.unwrap() else { panic!("{session}") };
        let gap = rules.visit_gaps.of("A");
        let page = PageRequest { limit: 100, order: Order::Asc, after: None };
        let visits = store.list_visits(&row, gap, &page).await.unwrap();
        let expected: Vec<_> =
            visits.iter().map(|visit| visit.joined_at.unwrap_or(visit.first_at)).collect();
        let starts: Vec<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT visit_started_at FROM message_facts
             WHERE session_id = $1 AND visit_started_at IS NOT NULL
             ORDER BY occurred_at",
        )
        .bind(row.id)
        .fetch_all(database.pool())
        .await
        .unwrap();
        assert_eq!(starts, expected, "{session}");

        let figures = store.examine(&row, gap).await.unwrap();
        let expected: Vec<_> =
            examine(&figures).iter().map(|finding| finding.flag.as_str()).collect();
        let flags: Vec<String> = sqlx::query_scalar(
            "SELECT flag.key
             FROM session_facts AS f, jsonb_each(to_jsonb(f)) AS flag
             WHERE session_id = $1 AND flag.value = 'true'",
        )
        .bind(row.id)
        .fetch_all(database.pool())
        .await
        .unwrap();
        let (mut flags, mut expected) = (flags, expected);
        flags.sort_unstable();
        expected.sort_unstable();
        assert_eq!(flags, expected, "{session}");
    }
    let kiosk: (i64, i64, i64, i64, Option<i64>, Option<i64>) = sqlx::query_as(
        "SELECT messages, user_messages, assistant_messages, turns, first_reply_gap_us,
             longest_silence_us
         FROM session_facts WHERE session_id = $1",
    )
    .bind(id_of("kiosk"))
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(kiosk, (7, 3, 4, 2, Some(3_000_000), Some(8_000_000)));
}

#[tokio::test]
async fn late_message_changes_its_own_fact_and_the_next() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    let rules = rules_with_gap(300);
    write_all(&mut connection, &day().0).await;
    catch_up(&mut connection, &rules).await;
    let before = facts(database.pool()).await;
    // A system message between the two of the user begins another turn.
    write_all(&mut connection, &Talk::new().message("mute", 30, "system").0).await;
    let pending = check(&mut connection, &rules).await.unwrap();
    assert_eq!((pending.is_clean(), pending.pending), (true, 1), "not followed yet");
    catch_up(&mut connection, &rules).await;
    assert_clean(&check(&mut connection, &rules).await.unwrap());
    let after = facts(database.pool()).await;
    let is_sum = |fact: &&String| fact.contains("\"level\"");
    let new = after.iter().filter(|fact| !before.contains(fact) && !is_sum(fact)).count();
    assert_eq!(new, 4, "the message, the next one, the visit, and the session");
}

#[tokio::test]
async fn erasure_and_retention_delete_facts() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    let rules = rules_with_gap(300);
    write_all(&mut connection, &day().0).await;
    catch_up(&mut connection, &rules).await;
    let store = Store::new(database.pool().clone());
    let limits = Limits { usual: Some(at(1_101)), of_sources: std::collections::BTreeMap::new() };
    let mut tally = verbatim::store::erase::Tally::default();
    store.delete_expired_sessions(&limits, at(9_000), &mut tally).await.unwrap();
    let left = "SELECT count(*) FROM session_facts";
    assert_eq!(count(database.pool(), left).await, 1, "the expired session is deleted at once");
    catch_up(&mut connection, &rules).await;
    assert_clean(&check(&mut connection, &rules).await.unwrap());
    let messages = "SELECT count(*) FROM message_facts";
    assert_eq!(count(database.pool(), messages).await, 3, "the rest of the shortened session");
    let first = "SELECT count(*) FROM message_facts
        WHERE starts_turn AND silence_us IS NULL AND occurred_at = to_timestamp(1790601101)";
    assert_eq!(
        count(database.pool(), first).await,
        1,
        "the session begins with another message now"
    );

    let clock = Clock::fixed(at(9_000));
    let id = Uuid::from_u128(7);
    let new =
        NewErasure { id, target: Target::Agent("A"), at: at(9_000), key_id: None, bound: false };
    assert_eq!(store.begin_erasure(&new).await.unwrap(), BeginOutcome::Yes);
    store.run_erasure(id, &clock).await.unwrap().unwrap();
    assert_eq!(facts(database.pool()).await, [] as [String; 0]);
    // Facts that remain after an erasure by a version without facts.
    sqlx::raw_sql(
        "INSERT INTO session_facts
         SELECT gen_random_uuid(), 'A', 'default', NULL, now(), now(), 0, 0, 0, 0, NULL, NULL, true,
             false, false, false, false, false;
         INSERT INTO activity SELECT * FROM activity_of_facts('-infinity', 'infinity')",
    )
    .execute(database.pool())
    .await
    .unwrap();
    catch_up(&mut connection, &rules).await;
    assert_clean(&check(&mut connection, &rules).await.unwrap());
    assert_eq!(facts(database.pool()).await, [] as [String; 0]);
}

#[tokio::test]
async fn only_one_follower_runs_and_another_gap_restarts_facts() {
    let database = TestDatabase::create().await;
    let mut one = database.options().connect().await.unwrap();
    let mut other = database.options().connect().await.unwrap();
    write_all(&mut one, &day().0).await;
    let mut held = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE facts_position IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    assert_eq!(
        follow_next(&mut one, &rules_with_gap(300), true).await.unwrap(),
        Followed::Elsewhere
    );
    held.rollback().await.unwrap();
    catch_up(&mut one, &rules_with_gap(300)).await;
    let visits = "SELECT count(visit_started_at) FROM message_facts";
    assert_eq!(count(database.pool(), visits).await, 4);

    // An older service does not restore its own gap.
    let shorter = rules_with_gap(60);
    assert_eq!(follow_next(&mut one, &shorter, false).await.unwrap(), Followed::OtherRules);
    let (_, depth) = watch::channel(Depth::default());
    let mut started = FactsFollower::new(database.options(), shorter.clone(), depth.clone());
    let mut running = FactsFollower::new(database.options(), rules_with_gap(300), depth);
    assert_eq!(running.run_once().await.unwrap(), Followed::Nothing);
    assert!(matches!(started.run_once().await.unwrap(), Followed::Entries(_)));
    assert_eq!(count(database.pool(), visits).await, 5);
    assert_eq!(running.run_once().await.unwrap(), Followed::OtherRules);
    assert_clean(&check(&mut one, &shorter).await.unwrap());
}

#[tokio::test]
async fn rebuild_corrects_faults_that_a_check_finds() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    let rules = rules_with_gap(300);
    write_all(&mut connection, &day().0).await;
    catch_up(&mut connection, &rules).await;
    let right = facts(database.pool()).await;
    for wrong in [
        "UPDATE message_facts SET starts_turn = NOT starts_turn WHERE occurred_at > to_timestamp(1790601000)",
        "UPDATE session_facts SET turns = turns + 1",
        "DELETE FROM presence_facts",
        "DELETE FROM session_facts",
        "UPDATE visit_facts SET turns = turns + 1",
        "DELETE FROM visit_facts WHERE number = 1",
        "INSERT INTO visit_facts SELECT session_id, 99, agent_id, source, started_at, first_message_at,
             last_message_at, 1, 1, 0, 1 FROM visit_facts WHERE number = 1",
        "UPDATE message_facts SET occurred_at = occurred_at + interval '1 year'",
        "UPDATE activity SET turns = turns + 1 WHERE level = 1",
        "DELETE FROM activity WHERE level = 0",
        "UPDATE reply_gaps SET counts = bins WHERE level = 1",
        "DELETE FROM reply_gaps",
        "UPDATE activity SET starts_at = starts_at + interval '1 year' WHERE level = 2",
    ] {
        sqlx::raw_sql(wrong).execute(database.pool()).await.unwrap();
        let report = compare(database.options(), &rules).await.unwrap();
        assert!(!report.different.is_empty() || report.wrong_sums > 0, "{wrong}: {report:?}");
        assert!(!report.is_clean(), "{wrong}");
        assert_eq!(rebuild(database.options(), &rules).await.unwrap(), Rebuilt::Sessions(2));
        assert_eq!(facts(database.pool()).await, right, "{wrong}");
    }
    sqlx::raw_sql("DELETE FROM sessions WHERE sender_session_id = 'mute'")
        .execute(database.pool())
        .await
        .unwrap();
    let report = compare(database.options(), &rules).await.unwrap();
    assert_eq!(report.orphaned, [id_of("mute")]);
    let other = rebuild(database.options(), &rules_with_gap(60)).await.unwrap();
    assert_eq!(other, Rebuilt::OtherRules);
}

#[tokio::test]
async fn facts_command_checks_and_rebuilds() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    write_all(&mut connection, &day().0).await;
    let data = tempfile::TempDir::new().unwrap();
    let (url, folder) = (database.url(), data.path().to_str().unwrap());
    let run = async |more: &[&str]| {
        let base = ["analytics", "rebuild", "--database-url", &url, "--data-dir", folder];
        verbatim(&[&base, more].concat()).await
    };
    let rebuilt = run(&[]).await;
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    let checked = run(&["--check"]).await;
    assert!(checked.status.success(), "{checked:?}");
    assert!(stdout(&checked).contains("sessions compared: 2\n"), "{}", stdout(&checked));
    sqlx::raw_sql("UPDATE session_facts SET messages = 0").execute(database.pool()).await.unwrap();
    let checked = run(&["--check"]).await;
    assert_eq!(checked.status.code(), Some(1), "{checked:?}");
    assert!(stdout(&checked).contains(&format!("session {} differs", id_of("mute"))));
    let other = run(&["--check", "--visit-gap", "1m"]).await;
    assert!(!other.status.success());
    assert!(stderr(&other).contains("other visit gaps"), "{other:?}");
}

#[tokio::test]
async fn follower_reports_its_lag_behind_the_journal() {
    let database = TestDatabase::create().await;
    let mut connection = database.options().connect().await.unwrap();
    // More entries than one transaction takes.
    let talk = (0..66).fold(Talk::new(), |talk, number| talk.message("mute", 30 + number, "user"));
    for one in talk.0 {
        write_all(&mut connection, &[one]).await;
    }
    let (_, depth) = watch::channel(Depth::default());
    let mut follower = FactsFollower::new(database.options(), rules(), depth);
    let lag = follower.watch_lag();
    assert_eq!(*lag.borrow(), None);
    follower.run_once().await.unwrap();
    let behind = lag.borrow().unwrap();
    assert!(behind.entries > 0 && behind.waiting_since.is_some(), "{behind:?}");
    while follower.run_once().await.unwrap() != Followed::Nothing {}
    assert_eq!(*lag.borrow(), Some(FactsLag::default()));
}

#[tokio::test]
async fn bins_of_the_database_match_the_code() {
    let database = TestDatabase::create().await;
    let around = |us: i64| [us - 1, us, us + 1];
    let powers = (0..52).flat_map(|power| around(1 << power));
    let lengths: Vec<i64> =
        powers.chain((0..52).flat_map(|power| around((127 << power) / 64))).collect();
    let bins: Vec<i32> = sqlx::query_scalar(
        "SELECT reply_gap_bin(us) FROM UNNEST($1::bigint[]) WITH ORDINALITY AS l (us, place) ORDER BY place",
    )
    .bind(&lengths)
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(bins, lengths.iter().map(|us| bin(*us)).collect::<Vec<_>>());
}
