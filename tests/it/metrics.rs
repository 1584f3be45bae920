//! `/metrics` and `/readyz` after deliveries of every kind.

use secrecy::SecretString;
use serde_json::{Value, json};
use verbatim::domain::DeliveryId;
use verbatim::postgres::migrate;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use crate::support::app::{App, KEY, SECRET, now, sign};
use crate::support::prometheus::Scrape;

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

/// IDs that no label may contain.
const AGENT: &str = "AGENT-7f3a";
const SESSION: &str = "SESSION-91c2";

fn event(kind: &str, more: &Value) -> String {
    let mut data = json!({ "session_id": SESSION, "role": "user", "message": "hello there" });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "event_type": kind, "agent_id": AGENT, "timestamp": 1_790_607_253.5, "data": data })
        .to_string()
}

async fn scrape(app: &App) -> Scrape {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Scrape::read(&answer.text)
}

/// Sends a delivery of each kind and outcome, and rejected requests.
async fn deliver_of_each(app: &App) {
    let message = event("chat.push", &json!({}));
    for (status, body) in [
        (200, event("room.join", &json!({}))),
        (200, message.clone()),
        (200, message.clone()),
        (200, event("chat.push", &json!({ "message": "again" }))),
        (200, event("session.end", &json!({}))),
        (200, event("agent.ready", &json!({}))),
        (200, event("test", &json!({}))),
        (200, event("SESSION-91c2.invented", &json!({}))),
        (422, event("chat.push", &json!({ "role": 7 }))),
        (413, "x".repeat(100_001)),
    ] {
        assert_eq!(app.deliver(body).await.status, status);
    }
    let wrong = [("X-bitHuman-Signature", sign("another secret", message.as_bytes()))];
    let wrong = wrong.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(app.post("/webhook", message.clone(), &wrong).await.status, 401);
    assert_eq!(app.post("/webhook", message.clone(), &[]).await.status, 401);
    let right = sign(SECRET, message.as_bytes());
    let right = [("X-bitHuman-Signature", right.as_str())];
    assert_eq!(app.post("/webhook/SESSION-91c2", message.clone(), &right).await.status, 404);
    assert_eq!(app.post("/webhook/session-91c2", message, &right).await.status, 404);
    app.drained().await;
}

#[actix_web::test]
async fn deliveries_are_counted_by_source_type_and_outcome() {
    let app = App::start_with(|settings| settings.max_body_bytes = 100_000).await;
    deliver_of_each(&app).await;
    let scrape = scrape(&app).await;
    for (kind, outcome, count) in [
        ("room.join", "stored", 1),
        ("room.join", "duplicate", 0),
        ("chat.push", "stored", 2),
        ("chat.push", "duplicate", 1),
        ("session.end", "stored", 1),
        ("account", "stored", 1),
        ("test", "test", 1),
        ("other", "unhandled", 1),
        ("unreadable", "quarantined", 1),
    ] {
        let labels = format!("outcome=\"{outcome}\",source=\"default\",type=\"{kind}\"");
        let series = format!("verbatim_deliveries_total{{{labels}}}");
        assert_eq!(scrape.count(&series), count, "{series}");
    }
    let counted = scrape.sum("verbatim_deliveries_total");
    let logged: i64 = sqlx::query_scalar("SELECT count(*) FROM deliveries")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    assert_eq!((counted, logged), (9, 9), "metrics agree with the log of deliveries");
    assert_eq!(scrape.count("verbatim_delivery_lag_seconds_count"), 9);
    assert_eq!(scrape.count("verbatim_drain_batch_deliveries_sum{way=\"inbox\"}"), 9);
    assert_eq!(scrape.count("verbatim_inbox_group_deliveries_sum"), 9);
    assert!(scrape.count("verbatim_inbox_commit_duration_seconds_count") >= 1);
    assert_eq!(scrape.count("verbatim_inbox_deliveries"), 0);
}

#[actix_web::test]
async fn webhook_answers_and_rejections_are_counted() {
    let app = App::start_with(|settings| settings.max_body_bytes = 100_000).await;
    deliver_of_each(&app).await;
    let scrape = scrape(&app).await;
    let answers = |source: &str, status: &str| {
        scrape.count(&format!(
            "verbatim_webhook_answers_total{{source=\"{source}\",status=\"{status}\"}}"
        ))
    };
    for (status, count) in [("200", 8), ("401", 2), ("413", 1), ("422", 1), ("503", 0)] {
        assert_eq!(answers("default", status), count, "{status}");
    }
    assert_eq!(answers("(unknown)", "404"), 2);
    let refusals = |check: &str| {
        scrape.count(&format!(
            "verbatim_webhook_refusals_total{{check=\"{check}\",source=\"default\"}}"
        ))
    };
    assert_eq!((refusals("wrong_signature"), refusals("missing_signature")), (1, 1));
    assert_eq!(scrape.sum("verbatim_webhook_refusals_total"), 2);
    let timed_answers = |event: &str| {
        scrape
            .count(&format!("verbatim_webhook_answer_duration_seconds_count{{event=\"{event}\"}}"))
    };
    assert_eq!((timed_answers("room.join"), timed_answers("other")), (1, 13));
}

#[actix_web::test]
async fn labels_contain_no_text_of_a_caller() {
    let app = App::start_with(|settings| settings.max_body_bytes = 100_000).await;
    deliver_of_each(&app).await;
    let paths = [
        format!("/v1/sessions/{SESSION}/messages?role=hello"),
        format!("/v1/agents/{AGENT}"),
        format!("/v1/agents/{AGENT}/sessions"),
        format!("/{SESSION}/{AGENT}"),
        format!("/v1/sessions/{SESSION}?{SESSION}=1"),
    ];
    for path in &paths {
        app.get(path).await;
    }
    let scraped = scrape(&app).await;
    let text = app.get("/metrics").await.text;
    for chosen in [AGENT, SESSION, "7f3a", "91c2", "hello", "invented"] {
        assert!(!text.contains(chosen), "{chosen} in {text}");
    }
    let names: Vec<_> = scraped.labels.keys().map(String::as_str).collect();
    let known = [
        "check", "event", "kind", "method", "outcome", "reason", "route", "server", "source",
        "state", "status", "type", "version", "way",
    ];
    assert_eq!(names, known);
    let routes: Vec<_> = scraped.labels["route"].iter().map(String::as_str).collect();
    assert_eq!(
        routes,
        [
            "(none)",
            "/v1/agents/{agent_id}",
            "/v1/agents/{agent_id}/sessions",
            "/v1/sessions/{session_id}",
            "/v1/sessions/{session_id}/messages",
        ]
    );
    let classes = |route: &str, status: &str| {
        scraped.count(&format!(
            "verbatim_http_request_duration_seconds_count\
             {{method=\"GET\",route=\"{route}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(classes("/v1/agents/{agent_id}", "2xx"), 1);
    assert_eq!(classes("/v1/sessions/{session_id}", "4xx"), 1);
    assert_eq!(classes("(none)", "4xx"), 1);
}

#[actix_web::test]
async fn delivery_that_is_not_durable_is_counted_with_its_reason() {
    let app = App::start_with(|settings| {
        settings.inbox_quota_bytes = 0;
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.deliver(event("room.join", &json!({}))).await.status, 503);
    let scrape = scrape(&app).await;
    for (series, value) in [
        ("verbatim_webhook_answers_total{source=\"default\",status=\"503\"}", 1),
        ("verbatim_inbox_refusals_total{reason=\"quota_reached\"}", 1),
        ("verbatim_inbox_writable", 0),
        ("verbatim_inbox_quota_bytes", 0),
        ("verbatim_postgres_up", 0),
        ("verbatim_schema_current", 0),
        ("verbatim_last_delivery_timestamp_seconds{kind=\"any\"}", 0),
    ] {
        assert_eq!(scrape.count(series), value, "{series}");
    }
    let failures = "verbatim_drain_failures_total{reason=\"database\",way=\"direct\"}";
    assert!(scrape.count(failures) > 2, "the write is retried while the delivery waits");
}

#[actix_web::test]
async fn undrained_deliveries_show_in_depth_and_age() {
    let app = App::start_with(|settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    app.deliver(event("test", &json!({}))).await;
    app.deliver(event("chat.push", &json!({}))).await;
    app.clock.set(now() + chrono::TimeDelta::seconds(90));
    let scrape = scrape(&app).await;
    assert_eq!(scrape.count("verbatim_inbox_deliveries"), 2);
    assert!(scrape.count("verbatim_inbox_bytes") > 300);
    let age = scrape.value("verbatim_inbox_oldest_age_seconds");
    assert!((age - 89.999).abs() < 1e-6, "{age}");
    assert_eq!(scrape.count("verbatim_inbox_writable"), 1);
    let ready = app.get("/readyz").await.json();
    assert_eq!(ready["inbox"]["oldest_age_seconds"], 89.999);
    assert_eq!(ready["postgres"]["schema"], "unknown");
    assert_eq!(ready["postgres"]["last_commit_at"], Value::Null);
    assert_eq!(ready["deliveries"]["last_test_at"], "2026-09-28T14:55:00.001000Z");
    assert_eq!(ready["deliveries"]["last_received_at"], "2026-09-28T14:55:00.002000Z");
}

#[actix_web::test]
async fn readyz_reports_the_last_delivery_the_last_test_and_the_schema() {
    let app = App::start().await;
    let ready = app.get("/readyz").await.json();
    assert_eq!(ready["deliveries"], json!({ "last_received_at": null, "last_test_at": null }));
    assert_eq!(ready["postgres"]["schema"], "current");
    assert_eq!(app.deliver(event("chat.push", &json!({}))).await.status, 200);
    app.drained().await;
    let ready = app.get("/readyz").await.json();
    assert_eq!(ready["deliveries"]["last_received_at"], "2026-09-28T14:55:00.001000Z");
    assert_eq!(ready["deliveries"]["last_test_at"], Value::Null, "not a test");
    assert_eq!(ready["postgres"]["last_commit_at"], "2026-09-28T14:55:00.001000Z");
    assert_eq!(scrape(&app).await.count("verbatim_schema_current"), 1);
}

#[actix_web::test]
async fn readyz_reports_a_pending_newer_or_altered_schema() {
    for (change, state) in [
        ("DELETE FROM _sqlx_migrations", "pending"),
        ("UPDATE _sqlx_migrations SET version = version + 1", "newer"),
        ("UPDATE _sqlx_migrations SET checksum = '\\x00'", "altered"),
    ] {
        let database = crate::support::database::TestDatabase::create().await;
        sqlx::query(change).execute(database.pool()).await.unwrap();
        // Another URL, since the start waits for the schema of the database's own URL.
        let url = format!("{}&application_name=unready", database.url());
        let app = App::start_on(database, tempfile::TempDir::new().unwrap(), |settings| {
            settings.migrate = state != "pending";
            settings.database.url = Some(SecretString::from(url));
        })
        .await;
        loop {
            let ready = app.get("/readyz").await.json();
            let schema = ready["postgres"]["schema"].as_str().unwrap().to_owned();
            if schema == state {
                break;
            }
            assert_eq!(schema, "unknown", "{ready}");
            tokio::task::yield_now().await;
        }
        assert_eq!(app.deliver(event("chat.push", &json!({}))).await.status, 200);
        if state == "pending" {
            sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
                .execute(app.database.pool())
                .await
                .unwrap();
            migrate(&app.database.options()).await.unwrap();
            app.drained().await;
            assert_eq!(app.get("/readyz").await.json()["postgres"]["schema"], "current");
        }
    }
}

#[actix_web::test]
async fn metrics_require_an_analytics_key_for_all_agents() {
    let app = App::start().await;
    let store = Store::new(app.database.pool().clone());
    let agents = [AGENT.to_owned()];
    for (scopes, agent_ids, status) in [
        (&[Scope::Analytics][..], None, 200),
        (&[Scope::Admin][..], None, 200),
        (&[Scope::Read, Scope::Export, Scope::Erase][..], None, 403),
        (&[Scope::Analytics][..], Some(&agents[..]), 403),
    ] {
        let key = generate_key();
        let new = NewKey {
            id: DeliveryId::new(now()).0,
            name: "scraper",
            hash: KeyHash::of(&key),
            scopes,
            agent_ids,
            created_at: now(),
            expires_at: None,
            made_by: None,
        };
        store.insert_key(&new).await.unwrap();
        assert_eq!(app.get_as(&key, "/metrics").await.status, status, "{scopes:?}");
    }
    assert_eq!(app.get_as("wrong", "/metrics").await.status, 401);
    assert_eq!(app.get_as(KEY, "/metrics").await.status, 200);
}

#[actix_web::test]
async fn every_metric_family_is_documented() {
    const PAGE: &str = "docs/reference/logs-and-metrics.md";
    let app = App::start().await;
    app.get("/v1/agents").await;
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(path).unwrap();
    let scrape = scrape(&app).await;
    for (family, kind) in &scrape.families {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{family}` |")));
        let row = row.unwrap_or_else(|| panic!("{PAGE} lacks {family}"));
        assert!(row.contains(&format!("| {kind} |")), "{row} is a {kind}");
    }
    assert!(scrape.families.len() > 25, "{:?}", scrape.families);
    #[cfg(target_os = "linux")]
    assert!(scrape.count("process_resident_memory_bytes") > 1_000_000);
    assert!(scrape.count("process_open_fds") > 5);
}
