//! `GET /v1/setup` and `POST /v1/setup/test`: setup of sources, and test deliveries.

use std::time::Duration;

use rcgen::generate_simple_self_signed;
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use verbatim::config::{RequiredHeader, Settings, SourceSettings, TlsSettings};
use verbatim::domain::{DeliveryId, SourceName};
use verbatim::redact::Redaction;
use verbatim::store::Store;
use verbatim::store::keys::{KeyHash, NewKey, Scope, generate_key};

use crate::support::app::{Answer, App, KEY, SECRET, now, sign};

/// Value of a required header.
const TOKEN: &str = "Bearer the header's value";
/// Value of the required header of another source.
const DOOR: &str = "open sesame";

/// Source with every possible requirement.
fn kiosk() -> SourceSettings {
    let header = |name: &str, value: &str| RequiredHeader {
        name: name.into(),
        value: SecretString::from(value),
    };
    SourceSettings {
        name: SourceName::parse("kiosk").unwrap(),
        secrets: vec![SecretString::from("new secret"), SecretString::from("old secret")],
        headers: vec![header("authorization", TOKEN), header("authorization", "an older value")],
        strict_timestamps: true,
        redaction: Redaction::default(),
    }
}

/// Source with only a required header, without signatures.
fn door() -> SourceSettings {
    SourceSettings {
        name: SourceName::parse("door").unwrap(),
        secrets: Vec::new(),
        headers: vec![RequiredHeader { name: "x-door".into(), value: SecretString::from(DOOR) }],
        strict_timestamps: false,
        redaction: Redaction::default(),
    }
}

/// Values that no answer may contain.
const VALUES: [&str; 7] = [SECRET, "new secret", "old secret", TOKEN, DOOR, "an older value", KEY];

async fn start() -> App {
    App::start_with(|settings: &mut Settings| settings.sources.extend([kiosk(), door()])).await
}

async fn test(app: &App, body: &Value) -> Answer {
    post_as(app, KEY, body).await
}

async fn post_as(app: &App, key: &str, body: &Value) -> Answer {
    let headers = [("X-API-Key", key), ("Content-Type", "application/json")];
    app.post("/v1/setup/test", body.to_string(), &headers).await
}

async fn setup(app: &App) -> Value {
    let answer = app.get("/v1/setup").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for secret in VALUES {
        assert!(!answer.text.contains(secret), "{}", answer.text);
    }
    answer.json()
}

async fn key(app: &App, scopes: &[Scope], agents: Option<&[&str]>) -> String {
    let key = generate_key();
    let agents: Option<Vec<_>> = agents.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    let new = NewKey {
        id: DeliveryId::new(now()).0,
        name: "a test's",
        hash: KeyHash::of(&key),
        scopes,
        agent_ids: agents.as_deref(),
        created_at: now(),
        expires_at: None,
        made_by: None,
    };
    assert!(Store::new(app.database.pool().clone()).insert_key(&new).await.unwrap());
    key
}

#[actix_web::test]
async fn each_source_is_shown_with_its_requirements_and_without_values() {
    let app = start().await;
    let body = setup(&app).await;
    let address = app.address.strip_prefix("http://").unwrap();
    let sources = body["sources"].as_array().unwrap();
    let names: Vec<_> = sources.iter().map(|source| source["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "door", "kiosk"], "the default one first");
    assert_eq!(
        sources[0],
        json!({
            "name": "default", "path": "/webhook", "url": format!("http://{address}/webhook"),
            "credentials": [{ "kind": "signature", "header": "x-bithuman-signature",
                "accepted": 1, "needs_timestamp": false }],
            "last_delivery_at": null, "last_test_at": null, "refusals": [],
        })
    );
    assert_eq!(
        sources[1]["credentials"],
        json!([
            { "kind": "header", "header": "x-door", "accepted": 1, "needs_timestamp": false },
        ])
    );
    assert_eq!(
        sources[2]["credentials"],
        json!([
            { "kind": "signature", "header": "x-bithuman-signature", "accepted": 2,
                "needs_timestamp": true },
            { "kind": "header", "header": "authorization", "accepted": 2, "needs_timestamp": false },
        ])
    );
    assert_eq!(sources[2]["url"], format!("http://{address}/webhook/kiosk"));
    assert_eq!(body["unknown_source"], Value::Null);
}

#[actix_web::test]
async fn url_of_a_source_has_the_scheme_of_the_sender() {
    let by_https = [("X-API-Key", KEY), ("X-Forwarded-Proto", "https")];
    for (proxies, scheme) in [(vec!["127.0.0.1/32".parse().unwrap()], "https"), (vec![], "http")] {
        let app = App::start_with(|settings| settings.trusted_proxies = proxies).await;
        let answer = app.get_with("/v1/setup", &by_https).await;
        let url = answer.json()["sources"][0]["url"].as_str().unwrap().to_owned();
        assert!(url.starts_with(&format!("{scheme}://")), "{url}");
    }
}

#[actix_web::test]
async fn test_delivery_of_each_kind_goes_through_every_check_of_its_source() {
    let app = start().await;
    for (source, is_signed) in [("default", true), ("kiosk", true), ("door", false)] {
        for event in ["test", "room.join", "chat.push"] {
            let answer = test(&app, &json!({ "source": source, "event": event })).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let result = answer.json();
            assert_eq!(result["status"], 200, "{result}");
            assert_eq!(result["answer"], json!({ "status": "ok" }));
            assert_eq!(
                (&result["outcome"], &result["stored_as_real"]),
                (&json!("test"), &json!(false))
            );
            assert!(result["milliseconds"].as_f64().unwrap() > 0.0);
            let id = result["delivery_id"].as_str().unwrap();
            let delivery = app.get(&format!("/v1/deliveries/{id}")).await.json();
            assert_eq!(delivery["event_type"], event);
            assert_eq!(delivery["source"], source);
            assert_eq!((&delivery["signed"], &delivery["test"]), (&json!(is_signed), &json!(true)));
            assert!(VALUES.iter().all(|value| !answer.text.contains(value)), "{}", answer.text);
        }
    }
    let sessions = app.get("/v1/sessions").await.json();
    assert_eq!(sessions["data"], json!([]), "a test has no session");
    let body = setup(&app).await;
    for source in body["sources"].as_array().unwrap() {
        assert!(source["last_test_at"].is_string(), "{source}");
        assert_eq!(source["last_delivery_at"], Value::Null, "a test is not a delivery: {source}");
    }
}

#[actix_web::test]
async fn real_test_delivery_is_stored_and_its_session_is_returned() {
    let app = start().await;
    let joined = test(&app, &json!({ "event": "room.join", "real": true })).await.json();
    assert_eq!((&joined["outcome"], &joined["stored_as_real"]), (&json!("stored"), &json!(true)));
    let result = test(&app, &json!({ "event": "chat.push", "real": true })).await.json();
    let session = result["session"].as_str().unwrap();
    let messages = app.get(&format!("/v1/sessions/{session}/messages")).await.json();
    assert_eq!(messages["data"][0]["message"], "A test message.");
    assert_eq!(messages["data"][0]["agent_id"], "test_agent_123");
    let body = setup(&app).await;
    assert!(body["sources"][0]["last_delivery_at"].is_string());
    let latency = &body["health"]["latency"];
    assert_eq!((&latency[0]["event"], &latency[0]["count"]), (&json!("room.join"), &json!(1)));
    assert!(latency[0]["p99_ms"].as_f64().unwrap() > 0.0, "{latency}");
}

#[actix_web::test]
async fn test_delivery_that_cannot_be_sent_is_rejected() {
    let app = start().await;
    for (body, expected) in [
        (json!({ "source": "unknown" }), "`source` is one of: default, door, kiosk."),
        (json!({ "event": "agent.ready" }), "unknown variant"),
        (json!({ "url": "http://elsewhere" }), "unknown field"),
        (json!([]), "this is not"),
    ] {
        let answer = test(&app, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_parameter"), "{body}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(expected), "{}", answer.text);
    }
}

#[actix_web::test]
async fn setup_requires_an_admin_key_for_all_agents() {
    let app = start().await;
    let reader = key(&app, &[Scope::Read, Scope::Analytics, Scope::Erase], None).await;
    let bound = key(&app, &[Scope::Admin], Some(&["A"])).await;
    for key in [&reader, &bound] {
        let shown = app.get_as(key, "/v1/setup").await;
        assert_eq!((shown.status, shown.code().as_str()), (403, "forbidden"));
        let sent = post_as(&app, key, &json!({})).await;
        assert_eq!((sent.status, sent.code().as_str()), (403, "forbidden"));
    }
    assert_eq!(app.log().await, [], "nothing was sent");
    let admin = key(&app, &[Scope::Admin], None).await;
    assert_eq!(app.get_as(&admin, "/v1/setup").await.status, 200);
    assert_eq!(post_as(&app, &admin, &json!({})).await.status, 200);
}

#[actix_web::test]
async fn rejections_are_counted_by_reason_with_advice() {
    let app = start().await;
    let body = r#"{"event_type":"test"}"#;
    let wrong = sign("another secret", body.as_bytes());
    for _ in 0..3 {
        let answer = app.post("/webhook", body, &[("X-bitHuman-Signature", &wrong)]).await;
        assert_eq!(answer.status, 401);
    }
    assert_eq!(app.post("/webhook", body, &[]).await.status, 401);
    assert_eq!(app.deliver("no JSON").await.status, 422);
    assert_eq!(app.post("/webhook/unknown", body, &[]).await.status, 404);
    assert_eq!(app.post("/webhook/kiosk", body, &[]).await.status, 401);

    let shown = setup(&app).await;
    let reasons = |place: usize| -> Vec<(String, i64)> {
        let refusals = shown["sources"][place]["refusals"].as_array().unwrap().iter();
        let named = refusals.map(|one| {
            assert!(one["advice"].as_str().unwrap().len() > 20, "{one}");
            assert!(one["last_at"].as_str().unwrap().starts_with("2026-09-28T14:55"), "{one}");
            (one["reason"].as_str().unwrap().to_owned(), one["count"].as_i64().unwrap())
        });
        named.collect()
    };
    let named = |reason: &str, count| (reason.to_owned(), count);
    let expected = [
        named("unreadable_delivery", 1),
        named("missing_signature", 1),
        named("wrong_signature", 3),
    ];
    assert_eq!(reasons(0), expected, "the latest first");
    assert_eq!(reasons(1), [], "rejections are counted per source");
    assert_eq!(reasons(2), [named("missing_header", 1)]);
    assert_eq!(shown["unknown_source"]["count"], 1);

    app.clock.set(now() + chrono::TimeDelta::hours(25));
    assert_eq!(setup(&app).await["sources"][0]["refusals"], json!([]), "a day later");
}

#[actix_web::test]
async fn health_of_the_service_is_shown() {
    let app = start().await;
    app.deliver(r#"{"event_type":"test"}"#).await;
    app.drained().await;
    let health = setup(&app).await["health"].clone();
    assert_eq!(health["inbox"]["writable"], true);
    assert_eq!((&health["inbox"]["deliveries"], &health["inbox"]["bytes"]), (&json!(0), &json!(0)));
    assert_eq!(health["inbox"]["quota_bytes"], 4_u64 << 30);
    assert_eq!(
        (&health["drain"]["failing"], &health["drain"]["reachable"]),
        (&json!(false), &json!(true))
    );
    assert!(health["drain"]["last_commit_at"].is_string());
    let disk = &health["disk"][0];
    let [free, total] = ["free_bytes", "total_bytes"].map(|name| disk[name].as_u64().unwrap());
    assert!(0 < free && free < total, "{disk}");
    let versions = &health["versions"];
    assert_eq!(versions["verbatim"], env!("CARGO_PKG_VERSION"));
    assert!(versions["postgresql"].as_str().unwrap().starts_with(|c: char| c.is_ascii_digit()));
    assert_eq!(versions["schema"], "current");
    assert_eq!(health["started_at"], "2026-09-28T14:55:00.000000Z");
    assert_eq!(health["latency"][0]["event"], "other");
}

#[actix_web::test]
async fn setup_and_test_work_without_the_database() {
    let unreachable = "postgres://verbatim@127.0.0.1:1/none";
    let app = App::start_with(|settings| {
        settings.sources.push(kiosk());
        settings.database.url = Some(SecretString::from(unreachable));
    })
    .await;
    let body = setup(&app).await;
    assert_eq!(body["sources"][1]["name"], "kiosk");
    let health = &body["health"];
    assert_eq!(
        (&health["drain"]["failing"], &health["versions"]["postgresql"]),
        (&json!(true), &Value::Null)
    );
    let result = test(&app, &json!({ "source": "kiosk" })).await.json();
    assert_eq!(
        (&result["status"], &result["delivery_id"]),
        (&json!(200), &Value::Null),
        "{result}"
    );
    let body = setup(&app).await;
    assert!(body["sources"][1]["last_test_at"].is_string());
    assert_eq!(body["health"]["inbox"]["deliveries"], 1);
}

#[actix_web::test]
async fn last_deliveries_are_shown_after_a_restart() {
    let app = start().await;
    let message = r#"{"event_type":"chat.push","agent_id":"A","data":{"session_id":"s","role":"user","message":"x"}}"#;
    assert_eq!(app.deliver(message).await.status, 200);
    test(&app, &json!({ "source": "kiosk" })).await;
    app.drained().await;
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |settings| settings.sources.push(kiosk())).await;
    let sources = setup(&app).await["sources"].clone();
    assert!(sources[0]["last_delivery_at"].is_string() && sources[0]["last_test_at"].is_null());
    assert!(sources[1]["last_delivery_at"].is_null() && sources[1]["last_test_at"].is_string());
}

#[actix_web::test]
async fn test_delivery_uses_https_when_served() {
    let folder = TempDir::new().unwrap();
    let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let files = TlsSettings { cert: folder.path().join("cert"), key: folder.path().join("key") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let app = App::start_with(|settings| settings.tls = Some(files)).await;
    let result = test(&app, &json!({})).await.json();
    assert_eq!((&result["status"], &result["outcome"]), (&json!(200), &json!("test")), "{result}");
    assert_eq!(setup(&app).await["sources"][0]["url"], format!("{}/webhook", app.address));
}

/// Quarantines some deliveries, starts a retry of all, and returns the path of the job.
async fn begin_job(app: &App, deliveries: usize) -> String {
    for number in 0..deliveries {
        assert_eq!(app.deliver(format!("no JSON {number}")).await.status, 422);
    }
    app.drained().await;
    let begun = app.ask("POST", "/v1/deliveries/retry").await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    format!("/v1/jobs/{}", begun.json()["id"].as_str().unwrap())
}

async fn finished(app: &App, path: &str) -> Value {
    let finished = async {
        loop {
            let job = app.get(path).await.json();
            if job["state"] == "finished" {
                return job;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), finished).await.unwrap()
}

#[actix_web::test]
async fn service_runs_requested_jobs() {
    let app = start().await;
    let path = begin_job(&app, 1).await;
    let job = finished(&app, &path).await;
    assert_eq!((&job["done"], &job["still_quarantined"]), (&json!(1), &json!(1)));
}

#[actix_web::test]
async fn job_continues_after_a_restart() {
    let app = start().await;
    let path = begin_job(&app, 60).await;
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |settings| settings.sources.push(kiosk())).await;
    let job = finished(&app, &path).await;
    let counts = ["total", "done", "stored", "still_quarantined"].map(|name| job[name].as_i64());
    assert_eq!(counts, [60, 60, 0, 60].map(Some), "{job}");
    let jobs = app.get("/v1/jobs").await.json();
    assert_eq!(jobs["data"], json!([job]), "one finished job");
}
