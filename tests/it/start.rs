//! What a start finds out, and what is said of how the service is.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use verbatim::clock::Clock;
use verbatim::config::Secret;
use verbatim::jobs::pulse::{Answer, Probe};
use verbatim::lifecycle::Lifecycle;
use verbatim::postgres::{check, migrate};
use verbatim::server::Server;

use crate::support::app::{App, settings};
use crate::support::database::TestDatabase;

/// A port that nobody listens on: connections to it are refused at once.
const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

#[actix_web::test]
async fn a_port_that_is_taken_is_found_before_a_database_is_made() {
    let (taken, data) = (TcpListener::bind("127.0.0.1:0").unwrap(), TempDir::new().unwrap());
    let mut settings = settings(NOBODY, &data);
    settings.database.url = None;
    settings.listen = taken.local_addr().unwrap();
    let started = Server::start(settings, Clock::system(), Lifecycle::new()).await;
    let error = format!("{:#}", started.err().unwrap());
    assert!(error.contains("cannot listen on 127.0.0.1"), "{error}");
    assert!(!data.path().join("postgres").exists());
}

#[actix_web::test]
async fn a_schema_that_lacks_a_migration_is_told_with_advice() {
    let database = TestDatabase::create().await;
    check(&database.options()).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations").execute(database.pool()).await.unwrap();
    let error = check(&database.options()).await.unwrap_err().to_string();
    assert!(error.contains("run `verbatim migrate`"), "{error}");
}

#[actix_web::test]
async fn the_inbox_keeps_what_comes_before_somebody_migrates() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    // Another URL, since the start waits for the schema where it is the database's own.
    let url = format!("{}&application_name=unmigrated", database.url());
    let app = App::start_on(database, data, |settings| {
        settings.migrate = false;
        settings.database.url = Some(Secret::new(url));
    })
    .await;
    assert_eq!(app.deliver(said("early")).await.status, 200);
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(app.database.pool())
            .await
            .unwrap();
    assert_eq!(tables, 0, "nobody has made any");
    migrate(&app.database.options()).await.unwrap();
    app.drained().await;
    let messages: Vec<String> = sqlx::query_scalar("SELECT message FROM messages")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    assert_eq!(messages, ["early"]);
}

#[actix_web::test]
async fn an_inbox_without_room_is_not_writable() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 0;
        settings.database.url = Some(Secret::new(NOBODY.into()));
    })
    .await;
    assert_eq!(app.deliver(said("refused")).await.status, 503);
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("unavailable")));
    assert_eq!(ready.json()["inbox"]["writable"], false);
}

#[actix_web::test]
async fn an_inbox_that_filled_up_is_not_writable() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 20 << 10;
        settings.database.url = Some(Secret::new(NOBODY.into()));
    })
    .await;
    assert_eq!(app.get("/readyz").await.json()["inbox"]["writable"], true);
    assert_eq!(app.deliver(said(&"x".repeat(17 << 10))).await.status, 200);
    assert_eq!(app.get("/readyz").await.status, 503);
}

#[actix_web::test]
async fn the_time_of_the_pulse_has_six_decimals() {
    let app = App::start().await;
    loop {
        let ready = app.get("/readyz").await.json();
        if let Some(since) = ready["postgres"]["since"].as_str() {
            // The test's clock stands at a whole second.
            assert_eq!(since, "2026-09-28T14:55:00.000000Z");
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn readiness_says_how_far_a_rebuild_of_the_search_index_has_come() {
    let app = App::start().await;
    // Of a later generation, so that this program leaves the rebuild as it is.
    let sql = "UPDATE search_progress SET version = version + 1000, stale_to = 1, stale_from = 4";
    sqlx::raw_sql(sql).execute(app.database.pool()).await.unwrap();
    loop {
        let search = app.get("/readyz").await.json()["search"].clone();
        if search["rebuild"].is_object() {
            assert_eq!(search["rebuild"], json!({ "done_entries": 3, "of_entries": 4 }));
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(app.get("/metrics").await.text.contains("\nverbatim_search_rebuild_entries 1\n"));
    app.stop().await;
}

#[actix_web::test]
async fn a_pulse_whose_connection_was_cut_makes_another() {
    let database = TestDatabase::create().await;
    let mut probe = Probe::new(database.options().application_name("pulse"));
    assert_eq!(probe.ask().await, Answer::Writable);
    let mut other = database.options().connect().await.unwrap();
    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'pulse' AND datname = current_database()",
    )
    .execute(&mut other)
    .await
    .unwrap();
    assert_eq!(cut.rows_affected(), 1, "one connection of its own");
    let asked = probe.ask().await;
    assert_eq!(asked, Answer::Writable, "the database is there, only the connection was not");
    let nobody: PgConnectOptions = NOBODY.parse().unwrap();
    assert_eq!(Probe::new(nobody).ask().await, Answer::Missing);
}

#[test]
fn a_service_without_its_database_says_where_it_is_and_that_it_waits() {
    let data = TempDir::new().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .env("DATABASE_URL", NOBODY)
        .env_remove("VERBATIM_WEBHOOK_SECRET")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let secret = lines.find(|line| line.trim().starts_with("webhook secret")).unwrap();
    assert!(secret.ends_with("/webhook-secret"), "{secret}");
    let waits = lines.any(|line| line.starts_with("Waiting for the database"));
    let pid = nix::unistd::Pid::from_raw(process.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(process.wait().unwrap().success());
    assert!(waits, "it says so before it ends");
}
