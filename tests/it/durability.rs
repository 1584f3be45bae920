//! A delivery that was answered 200 is stored whatever Postgres does. A delivery that cannot be
//! stored is not answered 200.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use verbatim::config::Ack;

use crate::support::app::{Answer, App};
use crate::support::prometheus::Scrape;

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

async fn texts(app: &App) -> BTreeSet<String> {
    let texts: Vec<String> = sqlx::query_scalar("SELECT message FROM messages")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    let count = texts.len();
    let texts = BTreeSet::from_iter(texts);
    assert_eq!(texts.len(), count, "a message is stored twice");
    texts
}

fn numbered(count: usize) -> BTreeSet<String> {
    (0..count).map(|n| format!("message {n}")).collect()
}

async fn deliver_numbered(app: &App, count: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    for text in numbered(count) {
        answers.push(app.deliver(chat_push(&text)).await);
    }
    answers
}

/// Terminates every other connection to the database.
async fn cut_connections(app: &App) {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(app.database.pool())
    .await
    .unwrap();
}

#[actix_web::test]
async fn deliveries_survive_a_database_outage_and_a_restart() {
    let app = App::start_with(|settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    for answer in deliver_numbered(&app, 25).await {
        assert_eq!(answer.status, 200);
    }
    let ready = app.get("/readyz").await;
    assert_eq!(ready.status, 200, "ready for deliveries");
    assert_eq!(ready.json()["inbox"]["deliveries"], 25);
    assert_eq!(app.get("/v1/agents").await.code(), "unavailable");

    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    assert_eq!(texts(&app).await, numbered(25));
    let (_, data) = app.stop().await;
    assert!(!data.path().join("inbox/inbox.sqlite-wal").exists(), "the log is removed on close");
}

#[actix_web::test]
async fn clean_stop_drains_the_inbox() {
    let app = App::start().await;
    deliver_numbered(&app, 40).await;
    let (database, data) = app.stop().await;
    // Without a database, the depth is what the inbox still holds.
    let app = App::start_on(database, data, |settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.backlog.watch_depth().borrow().deliveries, 0);
    assert_eq!(texts(&app).await, numbered(40));
}

#[actix_web::test]
async fn deliveries_go_directly_to_postgres_when_the_inbox_is_full() {
    let app = App::start_with(|settings| settings.inbox_quota_bytes = 0).await;
    for answer in deliver_numbered(&app, 10).await {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(texts(&app).await, numbered(10), "stored before the answer");
}

#[actix_web::test]
async fn delivery_that_cannot_be_made_durable_is_rejected() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 0;
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    let answer = app.deliver(chat_push("lost")).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_durable"));
    assert_eq!(answer.headers["retry-after"], "5");
}

#[actix_web::test]
async fn inbox_replaces_unavailable_postgres_with_ack_postgres() {
    let app = App::start_with(|settings| {
        settings.ack = Ack::Postgres;
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.deliver(chat_push("message 0")).await.status, 200);
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    assert_eq!(texts(&app).await, numbered(1));
}

#[actix_web::test]
async fn broken_connection_does_not_fail_a_direct_write() {
    let app = App::start_with(|settings| settings.inbox_quota_bytes = 0).await;
    for text in numbered(4) {
        assert_eq!(app.deliver(chat_push(&text)).await.status, 200);
        cut_connections(&app).await;
    }
    assert_eq!(texts(&app).await, numbered(4));
}

#[actix_web::test]
async fn direct_write_succeeds_when_postgres_recovers_in_time() {
    let app = App::start_with(|settings| settings.inbox_quota_bytes = 0).await;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'shutting down' USING ERRCODE = '57P01'; END $$;
         CREATE TRIGGER away BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    .execute(app.database.pool())
    .await
    .unwrap();
    let recovery = async {
        let series = "verbatim_drain_failures_total{reason=\"database\",way=\"direct\"}";
        // The third attempt follows a pause, and there are more.
        while Scrape::read(&app.get("/metrics").await.text).count(series) < 3 {}
        sqlx::raw_sql("DROP TRIGGER away ON messages").execute(app.database.pool()).await.unwrap();
    };
    let recovery = tokio::time::timeout(Duration::from_secs(30), recovery);
    let (answer, recovered) = tokio::join!(app.deliver(chat_push("message 0")), recovery);
    assert_eq!((answer.status, recovered), (200, Ok(())), "the write is retried");
    assert_eq!(texts(&app).await, numbered(1));
}

#[actix_web::test]
async fn hanging_disk_makes_the_answer_wait_for_postgres() {
    let app = App::start().await;
    assert_eq!(app.deliver(chat_push("message 0")).await.status, 200);
    app.drained().await;
    // A lock on the file makes the writer wait like a hanging disk.
    let file = app.data.path().join("inbox/inbox.sqlite");
    let mut disk = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut disk).await.unwrap();
    assert_eq!(app.deliver(chat_push("message 1")).await.status, 200);
    assert_eq!(texts(&app).await, numbered(2), "stored before the answer");
    let scrape = Scrape::read(&app.get("/metrics").await.text);
    assert_eq!(scrape.count("verbatim_inbox_refusals_total{reason=\"too_slow\"}"), 1);

    // The disk responds again: the inbox has the delivery too, now a duplicate.
    sqlx::raw_sql("ROLLBACK").execute(&mut disk).await.unwrap();
    disk.close().await.unwrap();
    assert_eq!(app.deliver(chat_push("message 2")).await.status, 200);
    app.drained().await;
    assert_eq!(texts(&app).await, numbered(3));
}

#[actix_web::test]
async fn delivery_that_postgres_rejects_does_not_block_others() {
    let app = App::start().await;
    sqlx::raw_sql(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN RAISE EXCEPTION 'quoting: %', new.message USING ERRCODE = '22021'; END $$;
         CREATE TRIGGER poison BEFORE INSERT ON messages FOR EACH ROW
         WHEN (new.message = 'message 7') EXECUTE FUNCTION refuse()",
    )
    .execute(app.database.pool())
    .await
    .unwrap();
    // Everything in one batch: the drain cannot write while the table is locked.
    let mut lock = app.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE messages").execute(&mut *lock).await.unwrap();
    for answer in deliver_numbered(&app, 20).await {
        assert_eq!(answer.status, 200);
    }
    lock.rollback().await.unwrap();
    app.drained().await;

    let mut expected = numbered(20);
    expected.remove("message 7");
    assert_eq!(texts(&app).await, expected);
    let (body, reason): (Vec<u8>, String) =
        sqlx::query_as("SELECT body, reason FROM deliveries WHERE outcome = 'quarantined'")
            .fetch_one(app.database.pool())
            .await
            .unwrap();
    assert_eq!(body, chat_push("message 7").into_bytes());
    assert_eq!(reason, "body: Postgres refuses it with SQLSTATE 22021", "no text is quoted");
}

#[actix_web::test]
async fn broken_connections_lose_and_double_nothing() {
    let app = App::start().await;
    for round in 0..5 {
        for n in 0..8 {
            let text = format!("message {}", round * 8 + n);
            assert_eq!(app.deliver(chat_push(&text)).await.status, 200);
        }
        cut_connections(&app).await;
    }
    app.drained().await;
    assert_eq!(texts(&app).await, numbered(40));
    let count: i64 = sqlx::query_scalar("SELECT message_count FROM sessions")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!(count, 40);
}

#[actix_web::test]
async fn backlog_beyond_memory_is_read_from_the_file() {
    let app = App::start_with(|settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
        settings.max_body_bytes = 4 << 20;
    })
    .await;
    // 48 MiB, of which 32 MiB stay in memory.
    let filler = "x".repeat(3 << 20);
    for n in 0..16 {
        let answer = app.deliver(chat_push(&format!("{n} {filler}"))).await;
        assert_eq!(answer.status, 200);
    }
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    let numbers: BTreeSet<String> =
        texts(&app).await.iter().map(|text| text.split_once(' ').unwrap().0.to_owned()).collect();
    assert_eq!(numbers, (0..16).map(|n| n.to_string()).collect());
}
