//! Checks at start-up, and the reported state of the service.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use secrecy::SecretString;
use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use verbatim::clock::Clock;
use verbatim::jobs::database_health::{Answer, Probe};
use verbatim::lifecycle::Lifecycle;
use verbatim::postgres::{check, migrate};
use verbatim::server::Server;

use crate::support::app::{App, settings};
use crate::support::database::TestDatabase;

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

#[actix_web::test]
async fn occupied_port_is_reported_before_a_database_is_created() {
    let (occupied, data) = (TcpListener::bind("127.0.0.1:0").unwrap(), TempDir::new().unwrap());
    let mut settings = settings(UNREACHABLE, &data);
    settings.database.url = None;
    settings.listen = occupied.local_addr().unwrap();
    let started = Server::start(settings, Clock::system(), Lifecycle::new()).await;
    let error = format!("{:#}", started.err().unwrap());
    assert!(error.contains("cannot listen on 127.0.0.1"), "{error}");
    assert!(!data.path().join("postgres").exists());
}

#[actix_web::test]
async fn schema_without_a_migration_is_reported_with_advice() {
    let database = TestDatabase::create().await;
    check(&database.options()).await.unwrap();
    sqlx::query("DELETE FROM _sqlx_migrations").execute(database.pool()).await.unwrap();
    let error = check(&database.options()).await.unwrap_err().to_string();
    assert!(error.contains("run `verbatim migrate`"), "{error}");
}

#[actix_web::test]
async fn deliveries_before_the_migration_stay_in_the_inbox() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    // Another URL, since the start waits for the schema of the database's own URL.
    let url = format!("{}&application_name=unmigrated", database.url());
    let app = App::start_on(database, data, |settings| {
        settings.migrate = false;
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    assert_eq!(app.deliver(chat_push("early")).await.status, 200);
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(app.database.pool())
            .await
            .unwrap();
    assert_eq!(tables, 0, "a table is created");
    migrate(&app.database.options()).await.unwrap();
    app.drained().await;
    let messages: Vec<String> = sqlx::query_scalar("SELECT message FROM messages")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    assert_eq!(messages, ["early"]);
}

#[actix_web::test]
async fn inbox_without_quota_is_not_writable() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 0;
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.deliver(chat_push("refused")).await.status, 503);
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("unavailable")));
    assert_eq!(ready.json()["inbox"]["writable"], false);
}

#[actix_web::test]
async fn full_inbox_is_not_writable() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 20 << 10;
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.get("/readyz").await.json()["inbox"]["writable"], true);
    assert_eq!(app.deliver(chat_push(&"x".repeat(17 << 10))).await.status, 200);
    assert_eq!(app.get("/readyz").await.status, 503);
}

#[actix_web::test]
async fn time_of_the_last_database_check_has_six_decimals() {
    let app = App::start().await;
    loop {
        let ready = app.get("/readyz").await.json();
        if let Some(since) = ready["postgres"]["since"].as_str() {
            // The test's clock is at a whole second.
            assert_eq!(since, "2026-09-28T14:55:00.000000Z");
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn readiness_reports_the_progress_of_a_search_index_rebuild() {
    let app = App::start().await;
    // A later version, so that this program does not change the rebuild.
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
async fn database_probe_reconnects_after_a_broken_connection() {
    let database = TestDatabase::create().await;
    let mut probe = Probe::new(database.options().application_name("probe"));
    assert_eq!(probe.check().await, Answer::Writable);
    let mut other = database.options().connect().await.unwrap();
    let cut = sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'probe' AND datname = current_database()",
    )
    .execute(&mut other)
    .await
    .unwrap();
    assert_eq!(cut.rows_affected(), 1, "the probe has one connection");
    let answer = probe.check().await;
    assert_eq!(answer, Answer::Writable, "only the connection was broken");
    let unreachable: PgConnectOptions = UNREACHABLE.parse().unwrap();
    assert_eq!(Probe::new(unreachable).check().await, Answer::Missing);
}

#[test]
fn service_without_its_database_prints_its_banner_and_waits() {
    let data = TempDir::new().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(data.path())
        .env("DATABASE_URL", UNREACHABLE)
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
    assert!(waits, "no line on the wait");
}
