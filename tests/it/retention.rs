//! Retention of the log of deliveries.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _, PgPool};
use verbatim::config::{AgeLimits, RetentionRules};
use verbatim::decode::decode;
use verbatim::domain::{Arrival, DeliveryId, Evidence, Outcome, SourceName, Unreadable};
use verbatim::drain::retry::retry;
use verbatim::jobs::retention::log::{BATCH_ROWS, LogReport, QUARANTINE_FACTOR, run_once};
use verbatim::jobs::{partitions, retention};
use verbatim::store::Store;
use verbatim::store::ingest::{Row, write};
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use crate::support::app::{App, now};
use crate::support::command::{stderr, stdout, verbatim};
use crate::support::database::TestDatabase;

const KEEP_DAYS: i64 = 30;

fn max_age() -> Duration {
    Duration::from_hours(24 * KEEP_DAYS.unsigned_abs())
}

/// Returns the time `days` after the time of the tests.
fn day(days: i64) -> DateTime<Utc> {
    now() + TimeDelta::days(days)
}

fn arrival(received_at: DateTime<Utc>) -> Arrival {
    let body = format!(
        r#"{{"event_type":"chat.push","agent_id":"A","timestamp":1790607253,
            "data":{{"session_id":"s","role":"user","message":"{}"}}}}"#,
        received_at.timestamp_micros()
    );
    Arrival {
        id: DeliveryId::new(received_at),
        received_at,
        source: SourceName::default(),
        evidence: Evidence::default(),
        body: body.into(),
    }
}

/// Creates a log with the partitions that the service creates on each of these days.
async fn log_of(days: impl IntoIterator<Item = i64>) -> TestDatabase {
    let database = TestDatabase::create().await;
    for each in days {
        partitions::run_once(database.pool(), day(each)).await.unwrap();
    }
    database
}

async fn drain(database: &TestDatabase, arrivals: &[Arrival], quarantined: bool) {
    let mut connection = database.options().connect().await.unwrap();
    let unread = || Err(Unreadable::new("data.message", "it is missing"));
    let read = |arrival| if quarantined { unread() } else { decode(arrival) };
    let rows: Vec<_> =
        arrivals.iter().map(|arrival| Row { arrival, read: Cow::Owned(read(arrival)) }).collect();
    write(&mut connection, &rows).await.unwrap();
}

/// Attached and detached partitions, without those of future days.
async fn tables(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_class
         WHERE relkind = 'r' AND relname LIKE 'deliveries\\_20%' AND relname < 'deliveries_2026_09'
         ORDER BY relname",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM deliveries").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn only_expired_days_are_dropped() {
    // Each run also creates the next seven days: 2026-08-24 to 2026-09-09.
    let database = log_of([-35, -28, -26]).await;
    let arrivals: Vec<_> = [-35, -31, -30, -29, 0].map(|days| arrival(day(days))).into();
    drain(&database, &arrivals, false).await;
    let swept = run_once(database.pool(), now(), max_age()).await.unwrap();
    assert_eq!(swept, LogReport { days: 5, ..LogReport::default() });
    // Thirty days ago is in the middle of the 29th, so its second half has not expired.
    assert_eq!(
        tables(database.pool()).await,
        ["deliveries_2026_08_29", "deliveries_2026_08_30", "deliveries_2026_08_31"]
    );
    assert_eq!(count(database.pool()).await, 3);
    let again = run_once(database.pool(), now(), max_age()).await.unwrap();
    assert_eq!(again, LogReport::default());
}

#[tokio::test]
async fn quarantined_deliveries_outlive_their_day() {
    let database = log_of([-40]).await;
    let pool = database.pool();
    let (stored, lost): (Vec<_>, Vec<_>) = (0..=BATCH_ROWS * 2)
        .map(|number| day(-40) + TimeDelta::milliseconds(number))
        .map(|at| (arrival(at), arrival(at + TimeDelta::seconds(10))))
        .unzip();
    drain(&database, &stored, false).await;
    drain(&database, &lost, true).await;
    let kept = i64::try_from(lost.len()).unwrap();

    let swept = run_once(pool, now(), max_age()).await.unwrap();
    assert_eq!(swept.quarantined_kept, kept.unsigned_abs());
    // The next seven days were empty.
    assert_eq!(tables(pool).await, ["deliveries_2026_08_19_quarantine"]);
    assert_eq!(count(pool).await, kept);
    assert_eq!(
        run_once(pool, now(), max_age()).await.unwrap(),
        LogReport::default(),
        "nothing is left to do"
    );

    // The delivery is found and retried as before.
    let store = Store::new(pool.clone());
    let row = store.find_delivery(lost[7].id.0, None).await.unwrap().expect("is there");
    assert_eq!(row.arrival().unwrap(), lost[7], "every byte");
    assert_eq!(retry(&store, &lost[7]).await.unwrap(), Outcome::Stored);

    let late = day(-40 + KEEP_DAYS * i64::from(QUARANTINE_FACTOR));
    assert_eq!(run_once(pool, late, max_age()).await.unwrap().quarantined_lost, 0, "not yet");
    let swept = run_once(pool, late + TimeDelta::days(1), max_age()).await.unwrap();
    assert_eq!(swept.quarantined_lost, kept.unsigned_abs() - 1);
    assert_eq!(count(pool).await, 0);
    let messages: i64 =
        sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(pool).await.unwrap();
    assert_eq!(messages, kept + 1, "conversations do not depend on the log");
}

#[tokio::test]
async fn rows_in_the_default_partition_are_deleted_by_age() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    let of_day = |days: i64, rows: i64| -> Vec<_> {
        (0..rows).map(|number| arrival(day(days) + TimeDelta::milliseconds(number))).collect()
    };
    drain(&database, &of_day(-31, BATCH_ROWS * 2 + 1), false).await;
    drain(&database, &of_day(-29, 3), false).await;
    drain(&database, &of_day(-89, 2), true).await;
    drain(&database, &of_day(-91, 1), true).await;
    let swept = run_once(pool, now(), max_age()).await.unwrap();
    let strays = (BATCH_ROWS * 2 + 2).unsigned_abs();
    assert_eq!(swept, LogReport { strays, quarantined_lost: 1, ..LogReport::default() });
    assert_eq!(count(pool).await, 5);
}

#[tokio::test]
async fn unfinished_run_is_completed_after_a_crash() {
    let database = log_of([-40]).await;
    let pool = database.pool();
    let lost: Vec<_> =
        (0..3).map(|second| arrival(day(-40) + TimeDelta::seconds(second))).collect();
    drain(&database, &lost, true).await;
    drain(&database, &[arrival(day(-40) - TimeDelta::seconds(1))], false).await;
    sqlx::raw_sql(
        "ALTER TABLE deliveries DETACH PARTITION deliveries_2026_08_19;
         ALTER TABLE deliveries_2026_08_19 RENAME TO deliveries_2026_08_19_dropped;
         -- Foreign tables, despite their names.
         CREATE TABLE deliveries_2026_08_18 (LIKE deliveries);
         CREATE TABLE deliveries_old_dropped (LIKE deliveries)",
    )
    .execute(pool)
    .await
    .unwrap();
    assert_eq!(count(pool).await, 0);
    let swept = run_once(pool, now(), max_age()).await.unwrap();
    assert_eq!((swept.quarantined_kept, count(pool).await), (3, 3));
    assert_eq!(tables(pool).await, ["deliveries_2026_08_18"]);
    sqlx::raw_sql("SELECT FROM deliveries_old_dropped")
        .execute(pool)
        .await
        .expect("the foreign table is dropped");
}

#[tokio::test]
async fn concurrent_services_do_not_interfere() {
    let database = log_of([-44, -36]).await;
    let pool = database.pool();
    for days in -44..-30 {
        drain(&database, &[arrival(day(days))], false).await;
        drain(&database, &[arrival(day(days) + TimeDelta::seconds(1))], true).await;
    }
    let runs = (0..4).map(|_| run_once(pool, now(), max_age()));
    let runs = futures_util::future::join_all(runs).await;
    let kept: u64 = runs.into_iter().map(|swept| swept.unwrap().quarantined_kept).sum();
    assert_eq!((kept, count(pool).await), (14, 14));
}

#[tokio::test]
async fn retention_does_not_block_a_busy_drain() {
    let database = log_of([-40]).await;
    let mut busy = database.options().connect().await.unwrap();
    let mut transaction = busy.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let refused = run_once(database.pool(), now(), max_age()).await.unwrap_err();
    let code = refused.as_database_error().and_then(|error| error.code().map(String::from));
    assert_eq!(code.as_deref(), Some("55P03"), "no lock timeout: {refused}");
    assert_eq!(tables(database.pool()).await.len(), 8, "a partition is dropped");
    transaction.commit().await.unwrap();
    assert_eq!(run_once(database.pool(), now(), max_age()).await.unwrap().days, 8);
}

#[actix_web::test]
async fn duplicate_is_recognized_after_its_log_expired() {
    let app = App::start().await;
    let undated = r#"{"event_type":"chat.push","agent_id":"A",
        "data":{"session_id":"s","role":"user","message":"when?"}}"#;
    let dated = include_str!("../payloads/b-chat-push.json");
    let numbered = [("X-BitHuman-Delivery", "dlv_1")];
    let deliver = async || {
        app.deliver(undated).await;
        app.deliver(dated).await;
        app.deliver_with(r#"{"event":"agent.ready","created":1790607253}"#, &numbered).await;
        app.log().await.into_iter().map(|(outcome, _)| outcome).collect::<Vec<_>>()
    };
    assert_eq!(deliver().await, ["stored"; 3]);
    let later = now() + TimeDelta::days(100);
    // A run is skipped while the service's own first run lasts.
    let deleted = async {
        while count(app.database.pool()).await > 0 {
            run_once(app.database.pool(), later, max_age()).await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), deleted)
        .await
        .expect("the log is deleted");
    app.clock.set(later);
    assert_eq!(deliver().await, ["duplicate"; 3]);
}

#[tokio::test]
async fn held_deliveries_outlive_their_day_and_quarantine() {
    let database = log_of([-40]).await;
    let pool = database.pool();
    let of = |agent: &str, at: DateTime<Utc>| {
        let body = format!(
            r#"{{"event_type":"chat.push","agent_id":"{agent}","timestamp":1790607253,
                "data":{{"session_id":"s","role":"user","message":"hello"}}}}"#
        );
        Arrival { body: body.into(), ..arrival(at) }
    };
    let later = |seconds| day(-40) + TimeDelta::seconds(seconds);
    drain(&database, &[of("held", later(0)), of("other", later(1))], false).await;
    sqlx::query("INSERT INTO holds (id, agent_id, created_at) VALUES ($1, 'held', $2)")
        .bind(DeliveryId::new(now()).0)
        .bind(now())
        .execute(pool)
        .await
        .unwrap();
    for at in [now(), day(200)] {
        run_once(pool, at, max_age()).await.unwrap();
        let left: Vec<String> =
            sqlx::query_scalar("SELECT agent_id FROM deliveries").fetch_all(pool).await.unwrap();
        assert_eq!(left, ["held"], "{at}");
    }
}

#[actix_web::test]
async fn retention_command_shows_a_plan_and_deletes_without_dry_run() {
    let database = TestDatabase::create().await;
    let data = tempfile::TempDir::new().unwrap();
    let long_ago = "2020-01-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let stored: Vec<_> = (0..3)
        .map(|n| {
            let at = long_ago + TimeDelta::seconds(n);
            let body = format!(
                r#"{{"event_type":"chat.push","agent_id":"A","timestamp":{},
                    "data":{{"session_id":"s","role":"user","message":"hello"}}}}"#,
                at.timestamp()
            );
            Arrival { body: body.into(), ..arrival(at) }
        })
        .collect();
    drain(&database, &stored, false).await;
    let url = database.url();
    let folder = data.path().to_str().unwrap();
    let run = async |more: &[&str]| {
        let settings = ["retention", "--database-url", &url, "--data-dir", folder];
        let ages = ["--keep-messages", "30d", "--keep-deliveries", "30d"];
        let done = verbatim(&[&settings[..], &ages, more].concat()).await;
        assert!(done.status.success(), "{}", stderr(&done));
        stdout(&done)
    };
    let text = run(&["--dry-run"]).await;
    let line = |table: &str, rows: u64| format!("{table:<12}{:<24}{rows:>14}\n", "default");
    assert!(text.contains(&line("sessions", 1)) && text.contains(&line("messages", 3)), "{text}");
    assert!(!text.contains("deleted"), "{text}");
    assert_eq!(count(database.pool()).await, 3, "a row is deleted");

    let text = run(&[]).await;
    assert!(text.contains("sessions: 1 deleted\n"), "{text}");
    assert!(text.contains("messages: 3 deleted\n"), "{text}");
    assert!(text.contains("0 days and 3 rows of the default partition deleted\n"), "{text}");
    assert_eq!(count(database.pool()).await, 0);
    assert!(run(&["--dry-run"]).await.contains("No rows have expired."));
}

#[actix_web::test]
async fn one_service_at_a_time_deletes_expired_rows() {
    let database = TestDatabase::create().await;
    let long_ago = "2020-01-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap();
    let body = format!(
        r#"{{"event_type":"chat.push","agent_id":"A","timestamp":{},
            "data":{{"session_id":"s","role":"user","message":"hello"}}}}"#,
        long_ago.timestamp()
    );
    drain(&database, &[Arrival { body: body.into(), ..arrival(long_ago) }], false).await;
    let store = Store::new(database.pool().clone());
    let messages = AgeLimits { usual: Some(max_age()), ..AgeLimits::default() };
    let deliveries = AgeLimits { usual: None, ..AgeLimits::default() };
    let keep = RetentionRules { messages, deliveries };
    let mut other = database.options().connect().await.unwrap();
    let lock = "SELECT pg_advisory_lock(hashtext('verbatim expired rows'))";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let gone = retention::run_once(&store, now(), &keep).await.unwrap();
    assert!(gone.is_elsewhere && gone.rows.0.is_empty(), "{gone:?}");
    sqlx::raw_sql("SELECT pg_advisory_unlock_all()").execute(&mut other).await.unwrap();
    for expected in [1, 0] {
        let gone = retention::run_once(&store, now(), &keep).await.unwrap();
        assert_eq!((gone.is_elsewhere, gone.rows.of("sessions")), (false, expected), "{gone:?}");
    }
}

/// Creates a key, for one agent or for all.
async fn key(app: &App, scope: Scope, agent: Option<&str>) -> String {
    let key = generate_key();
    let agents = agent.map(|agent| vec![agent.to_owned()]);
    let new = NewKey {
        id: DeliveryId::new(now()).0,
        name: "a test's",
        hash: KeyHash::of(&key),
        scopes: &[scope],
        agent_ids: agents.as_deref(),
        created_at: now(),
        expires_at: None,
        made_by: None,
    };
    assert!(Store::new(app.database.pool().clone()).insert_key(&new).await.unwrap());
    key
}

#[actix_web::test]
async fn next_deletions_are_shown_in_advance() {
    let app = App::start_with(|settings| {
        settings.keep.messages = AgeLimits { usual: Some(max_age()), ..AgeLimits::default() };
        settings.keep.deliveries = AgeLimits { usual: None, ..AgeLimits::default() };
    })
    .await;
    let chat_push = |at: DateTime<Utc>, session: &str| {
        json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": at.timestamp(),
            "data": { "session_id": session, "role": "user", "message": "word" } })
        .to_string()
    };
    // The day that expires next, the day after it, and today.
    for (days, session) in [(-KEEP_DAYS, "goes"), (1 - KEEP_DAYS, "stays"), (0, "new")] {
        assert_eq!(app.deliver(chat_push(day(days), session)).await.status, 200);
    }
    app.drained().await;
    let shown = app.get("/v1/retention").await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let shown = shown.json();
    assert_eq!(shown["keep_messages"], json!([{ "source": "default", "days": KEEP_DAYS }]));
    assert_eq!(shown["keep_deliveries"], json!([{ "source": "default", "days": null }]));
    let midnight = day(1).date_naive().to_string();
    assert!(shown["next_run_at"].as_str().unwrap().starts_with(&format!("{midnight}T00:00:00")));
    let row = |table: &str| json!({ "table": table, "source": "default", "rows": 1 });
    assert_eq!(shown["plan"], json!([row("sessions"), row("messages")]));
    // Nothing is deleted yet, and a held session is not in the plan.
    assert_eq!(app.get("/v1/sessions/goes").await.status, 200);
    assert!((200..300).contains(&app.ask("PUT", "/v1/sessions/goes/hold").await.status));
    assert_eq!(app.get("/v1/retention").await.json()["plan"], json!([]));
}

#[actix_web::test]
async fn next_deletions_require_an_admin_key_for_all_agents() {
    let app = App::start().await;
    let retention = app.get("/v1/retention").await.json();
    assert_eq!(retention["keep_messages"][0]["days"], json!(null));
    for (scope, agent) in [(Scope::Admin, Some("A")), (Scope::Read, None), (Scope::Erase, None)] {
        let key = key(&app, scope, agent).await;
        let refused = app.get_as(&key, "/v1/retention").await;
        assert_eq!(refused.status, 403, "{scope:?} {agent:?}: {}", refused.text);
    }
    assert_eq!(app.get("/v1/retention?x=1").await.status, 400);
}
