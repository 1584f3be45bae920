//! The log of the real program, as JSON lines.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::app::{KEY, SECRET, client, sign};
use crate::support::captured::Process;
use crate::support::database::TestDatabase;

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

fn of<'a>(log: &'a [Value], request_id: &str) -> Vec<&'a Value> {
    log.iter().filter(|line| line["request_id"] == request_id).collect()
}

#[actix_web::test]
async fn every_line_of_a_request_has_its_id() {
    let service = Process::start(&[("DATABASE_URL", UNREACHABLE)]);
    let client = client();
    let post = |id: &'static str, signature: String, body: &'static str| {
        let request = client.post(format!("{}/webhook", service.address)).body(body);
        let request = request.header("X-Request-Id", id).header("X-bitHuman-Signature", signature);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(post("refused-1", sign("another", b"{}"), "{}").await, 401);
    let unreadable = r#"{"event_type":"chat.push","secret":"never logged"}"#;
    let signature = sign(SECRET, unreadable.as_bytes());
    assert_eq!(post("unreadable-1", signature, unreadable).await, 422);
    let agents = client.get(format!("{}/v1/agents", service.address)).bearer_auth(KEY);
    let agents = agents.header("X-Request-Id", "agents-1").send().await.unwrap();
    assert_eq!(agents.status(), 503);
    let log = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();

    let refused = of(&log, "refused-1");
    assert_eq!(refused.len(), 2, "{log:#?}");
    assert_eq!(refused[0]["message"], "webhook delivery rejected");
    assert_eq!((&refused[1]["message"], &refused[1]["status"]), (&"answered".into(), &401.into()));
    let unreadable = of(&log, "unreadable-1");
    assert_eq!(unreadable.len(), 2, "{log:#?}");
    let delivery = unreadable[0]["delivery"].as_str().unwrap();
    assert!(delivery.parse::<uuid::Uuid>().is_ok(), "the line has the delivery ID");
    let agents = of(&log, "agents-1");
    assert!(agents[0]["cause"].as_str().unwrap().contains("database"), "{agents:#?}");
    assert!(!format!("{log:?}").contains("never logged"));
}

#[actix_web::test]
async fn delivery_that_is_not_durable_is_logged_with_both_reasons() {
    let service = Process::start(&[("DATABASE_URL", UNREACHABLE), ("VERBATIM_INBOX_QUOTA", "1 B")]);
    let request = client()
        .post(format!("{}/webhook", service.address))
        .header("X-Request-Id", "nowhere-1")
        .header("X-bitHuman-Signature", sign(SECRET, b"{}"));
    assert_eq!(request.body("{}").send().await.unwrap().status(), 503);
    let log = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();

    let lines = of(&log, "nowhere-1");
    let refusals = lines[0]["refusals"].as_str().unwrap();
    assert!(refusals.starts_with("the inbox has reached its quota; "), "{refusals}");
    assert!(refusals.contains("Connection refused"), "{refusals}");
    let failures =
        log.iter().filter(|line| line["message"] == "deliveries could not go straight to Postgres");
    assert!(failures.count() < 8, "every attempt is logged: {log:#?}");
}

#[actix_web::test]
async fn database_fault_is_logged_once_and_not_at_every_attempt() {
    let database = TestDatabase::create().await;
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00'")
        .execute(database.pool())
        .await
        .unwrap();
    let service = Process::start(&[("DATABASE_URL", &database.url())]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while client()
        .get(format!("{}/readyz", service.address))
        .send()
        .await
        .unwrap()
        .json::<Value>()
        .await
        .unwrap()["postgres"]["schema"]
        != "altered"
    {
        assert!(Instant::now() < deadline, "the fault is not logged");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = tokio::task::spawn_blocking(|| service.stop()).await.unwrap();
    // sqlx logs queries before this line; a filter on sqlx must not remove the line.
    let lines: Vec<_> = log.iter().filter(|line| line["schema"] == "altered").collect();
    assert_eq!(lines.len(), 1, "{log:#?}");
    assert_eq!((&lines[0]["level"], &lines[0]["failures"]), (&"ERROR".into(), &1.into()));
}
