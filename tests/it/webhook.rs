//! Ingest: answers, and stored rows.

use std::io::Write as _;
use std::net::TcpStream;

use secrecy::SecretString;
use serde_json::json;
use verbatim::config::{Ack, RequiredHeader, SourceSettings};
use verbatim::domain::SourceName;

use crate::support::app::{App, SECRET, sign};
use crate::support::samples::SAMPLES;

fn message(data: &str) -> Vec<u8> {
    format!(
        r#"{{"event_type":"chat.push","agent_id":"a","timestamp":1790607253.5,
            "data":{{"session_id":"s","role":"user",{data}}}}}"#
    )
    .into_bytes()
}

#[actix_web::test]
async fn samples_of_all_generations_give_the_right_sessions() {
    // In reverse, so that each message arrives before its join.
    let app = App::start().await;
    for body in SAMPLES.iter().rev() {
        let answer = app.deliver(*body).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"status":"ok"}"#), "{body}");
    }
    app.drained().await;

    let sessions = app.get("/v1/sessions?order=asc").await.json();
    let brief: Vec<_> = sessions["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            json!([
                one["agent_id"],
                one["session_id"],
                one["opened_by"],
                one["started_at"],
                one["message_count"],
                one["end_reason"],
                one["room_name"],
            ])
        })
        .collect();
    insta::assert_json_snapshot!(brief);

    let pip = "/v1/sessions/8d947f06-2c36-4d98-aafe-b232da2433ff/messages";
    let messages = app.get(pip).await.json();
    assert_eq!(messages["data"][0]["message"], "I'm Pip, your friendly science fox!");
    assert_eq!(messages["data"][0]["timestamp"], "2026-09-28T14:54:28.895698Z");
    assert_eq!(messages["data"][0]["sent_at"], "2026-09-28T14:54:28.895705Z");

    let shared = app.get("/v1/sessions/session_xyz789").await;
    assert_eq!((shared.status, shared.code().as_str()), (409, "ambiguous_session"));
}

#[actix_web::test]
async fn messages_are_ordered_by_their_own_time() {
    let app = App::start().await;
    let chat_push = |at: f64, text: &str| {
        json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": at + 0.001,
            "data": { "session_id": "s", "role": "user", "message": text, "timestamp": at } })
        .to_string()
    };
    for (at, text) in [(30.0, "third"), (10.0, "first"), (40.5, "fourth"), (20.25, "second")] {
        assert_eq!(app.deliver(chat_push(1_790_607_000.0 + at, text)).await.status, 200);
        app.drained().await;
    }
    let messages = app.get("/v1/sessions/s/messages").await.json();
    let texts: Vec<_> =
        messages["data"].as_array().unwrap().iter().map(|m| &m["message"]).collect();
    assert_eq!(texts, ["first", "second", "third", "fourth"]);
    let session = app.get("/v1/sessions/s").await.json();
    assert_eq!(session["opened_by"], "chat.push");
    assert_eq!(session["started_at"], "2026-09-28T14:50:10.000000Z");

    // The join arrives last, and opens the session nevertheless.
    let join = json!({ "event_type": "room.join", "agent_id": "a", "timestamp": 1_790_607_005,
        "data": { "session_id": "s", "room_name": "lobby", "participant_count": 2 } });
    app.deliver(join.to_string()).await;
    app.drained().await;
    let session = app.get("/v1/sessions/s").await.json();
    assert_eq!(session["opened_by"], "room.join");
    assert_eq!(session["started_at"], "2026-09-28T14:50:05.000000Z");
    assert_eq!(session["room_name"], "lobby");
    assert_eq!(session["message_count"], 4);
}

#[actix_web::test]
async fn duplicate_delivery_is_stored_once() {
    let app = App::start().await;
    for _ in 0..3 {
        assert_eq!(app.deliver(SAMPLES[4]).await.status, 200);
    }
    // In one batch or in several.
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["stored", "duplicate", "duplicate"]);
    let session = app.get("/v1/sessions/session_xyz789").await.json();
    assert_eq!(session["message_count"], 1);

    // The same text a second later is another delivery.
    let again = SAMPLES[4].replace("1705312285.0", "1705312286.0");
    app.deliver(again).await;
    app.drained().await;
    assert_eq!(app.get("/v1/sessions/session_xyz789").await.json()["message_count"], 2);
}

#[actix_web::test]
async fn duplicate_of_an_undated_message_is_stored_once() {
    let app = App::start().await;
    let undated = r#"{"event_type":"chat.push","agent_id":"a","timestamp":-1,
        "data":{"session_id":"s","role":"user","message":"when?"}}"#;
    for seconds in [0, 1, 31] {
        app.clock.set(crate::support::app::now() + chrono::TimeDelta::seconds(seconds));
        assert_eq!(app.deliver(undated).await.status, 200);
        app.drained().await;
    }
    let messages = app.get("/v1/sessions/s/messages").await.json();
    assert_eq!(messages["data"].as_array().unwrap().len(), 1);
    assert_eq!(messages["data"][0]["timestamp"], "2026-09-28T14:55:00.001000Z");
    assert_eq!(messages["data"][0]["undated"], true);
}

#[actix_web::test]
async fn each_fault_of_a_delivery_has_its_outcome() {
    let app = App::start().await;
    let emoji = "🦊".repeat(250_000);
    let deep = format!("[{}]", "[".repeat(50_000));
    let stored = |data: &str| (message(data), 200, "", "stored");
    let quarantined = |body: Vec<u8>, field| (body, 422, field, "quarantined");
    let table = [
        stored(r#""message":"plain""#),
        stored(r#""message":"ms","timestamp":1790607253500"#),
        stored(r#""message":"quoted","timestamp":"1790607253.5""#),
        stored(r#""message":"negative","timestamp":-3"#),
        stored(r#""message":"huge","timestamp":1e300"#),
        stored(r#""message":"beyond","timestamp":1e999"#),
        stored(r#""message":"no number","timestamp":"NaN""#),
        stored(r#""message":"a\u0000b""#),
        stored(r#""message":"\ud83e alone""#),
        stored(&format!(r#""message":"{emoji}""#)),
        stored(r#""message":"first","message":"last""#),
        stored(&format!(r#""message":"deep","extra":{}"#, "[".repeat(9_999) + &"]".repeat(9_999))),
        (br#"{"event_type":"agent.dreamt","agent_id":"a"}"#.to_vec(), 200, "", "unhandled"),
        (SAMPLES[8].into(), 200, "", "stored"),
        (include_bytes!("../payloads/test.json").to_vec(), 200, "", "test"),
        quarantined(Vec::new(), "body"),
        quarantined(b"{\"event_type\":\"chat.push\",\"agent".to_vec(), "body"),
        quarantined(b"[]".to_vec(), "body"),
        quarantined(deep.into_bytes(), "body"),
        quarantined(b"{}".to_vec(), "event_type"),
        quarantined(br#"{"event_type":"chat.push","agent_id":"a"}"#.to_vec(), "data.session_id"),
        quarantined(message(r#""text":"no message""#), "data.message"),
        quarantined(message(r#""message":{"of":"another type"}"#), "data.message"),
        quarantined(message(r#""message":null"#), "data.message"),
    ];
    for (body, status, field, _) in &table {
        let answer = app.deliver(body.clone()).await;
        let start = String::from_utf8_lossy(&body[..body.len().min(160)]).into_owned();
        assert_eq!(answer.status, *status, "{start}: {}", answer.text);
        if *status == 422 {
            assert_eq!(answer.code(), "unreadable_delivery");
            assert_eq!(answer.json()["field"], *field, "{start}");
        }
    }
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    let expected: Vec<_> = table.iter().map(|(_, _, _, outcome)| *outcome).collect();
    assert_eq!(outcomes, expected);

    let bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM deliveries ORDER BY id")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    assert!(bodies.iter().eq(table.iter().map(|(body, ..)| body)), "a body is changed");

    let messages = app.get("/v1/sessions/s/messages?limit=500").await.json();
    let altered: Vec<_> = messages["data"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["altered"] == true)
        .map(|message| message["message"].as_str().unwrap())
        .collect();
    assert_eq!(altered.len(), 2);
    assert!(altered.contains(&"a\u{FFFD}b") && altered.contains(&"\u{FFFD} alone"));
}

#[actix_web::test]
async fn delivery_without_right_credentials_is_not_stored() {
    let app = App::start().await;
    let body = SAMPLES[4];
    let right = sign(SECRET, body.as_bytes());
    let wrong = sign("another secret", body.as_bytes());
    for (headers, code, words) in [
        (vec![], "missing_credentials", "X-bitHuman-Signature is missing"),
        (vec![("X-bitHuman-Signature", wrong.as_str())], "invalid_signature", "does not match"),
        (vec![("X-bitHuman-Signature", &right[7..])], "invalid_signature", "lacks its prefix"),
        (vec![("X-bitHuman-Signature", "sha256=beef")], "invalid_signature", "malformed"),
    ] {
        let answer = app.post("/webhook", body, &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code));
        assert!(answer.text.contains(words), "{}", answer.text);
        assert!(answer.headers.contains_key("www-authenticate"));
    }
    let upper = right.to_uppercase().replace("SHA256=", "sha256=");
    let answer = app.post("/webhook/", body, &[("x-bithuman-signature", &upper)]).await;
    assert_eq!(answer.status, 200, "upper case, and a trailing slash");
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn each_source_has_a_separate_path_and_credentials() {
    let app = App::start_with(|settings| {
        let mut kiosk = settings.sources[0].clone();
        kiosk.name = SourceName::parse("kiosk").unwrap();
        kiosk.secrets = Vec::new();
        kiosk.headers = vec![RequiredHeader {
            name: "x-webhook-secret".into(),
            value: SecretString::from("open sesame"),
        }];
        let mut strict: SourceSettings = settings.sources[0].clone();
        strict.name = SourceName::parse("strict").unwrap();
        strict.strict_timestamps = true;
        settings.sources.extend([kiosk, strict]);
    })
    .await;
    let body = SAMPLES[7];
    let sesame = [("X-Webhook-Secret", "open sesame")];
    assert_eq!(app.post("/webhook/kiosk", body, &sesame).await.status, 200);
    assert_eq!(app.post("/webhook/kiosk/", body, &sesame).await.status, 200);
    assert_eq!(app.post("/webhook", body, &sesame).await.status, 401);
    assert_eq!(app.post("/webhook/other", body, &sesame).await.status, 404);

    // The tests' clock is at 1790607300.
    for (path, time, status) in [
        ("/webhook", "1790607300", 200),
        ("/webhook", "1790606000", 200),
        ("/webhook/strict", "1790607300", 200),
        ("/webhook/strict", "1790606000", 401),
    ] {
        let message = [time.as_bytes(), b".", body.as_bytes()].concat();
        let signature = sign(SECRET, &message);
        let headers =
            [("X-BitHuman-Timestamp", time), ("X-BitHuman-Signature", signature.as_str())];
        assert_eq!(app.post(path, body, &headers).await.status, status, "{path} {time}");
    }
    app.drained().await;
    let stale: Vec<bool> =
        sqlx::query_scalar("SELECT stale FROM deliveries WHERE signed ORDER BY id")
            .fetch_all(app.database.pool())
            .await
            .unwrap();
    assert_eq!(stale, [false, true, false]);
    let sources = app.get("/v1/sessions?source=kiosk").await.json();
    assert_eq!(sources["data"].as_array().unwrap().len(), 1, "sources are mixed");
}

#[actix_web::test]
async fn delivery_at_the_size_limit_is_accepted_and_a_larger_one_is_rejected() {
    let app = App::start_with(|settings| settings.max_body_bytes = 100_000).await;
    let of_size = |bytes: usize| {
        let empty = message(r#""message":"""#).len();
        message(&format!(r#""message":"{}""#, "x".repeat(bytes - empty)))
    };
    assert_eq!(app.deliver(of_size(100_000)).await.status, 200);
    let answer = app.deliver(of_size(100_001)).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload_too_large"));
    assert!(answer.text.contains("100000 bytes"), "{}", answer.text);
    assert_eq!(app.log().await.len(), 1);
}

#[actix_web::test]
async fn delivery_header_does_not_affect_identity() {
    let app = App::start().await;
    // Account event, message, join: the same bytes with any ID are one delivery.
    for body in [SAMPLES[8], SAMPLES[4], SAMPLES[3]] {
        for id in ["dlv_1", "dlv_1", "dlv_2"] {
            let sent = app.deliver_with(body, &[("X-BitHuman-Delivery", id)]).await;
            assert_eq!(sent.status, 200);
        }
        assert_eq!(app.deliver(body).await.status, 200);
        // Other bytes with a used ID are another delivery.
        let other = body.replace("agent_abc123", "agent_else").replace("A80HVD8577", "B80HVD8577");
        assert_ne!(other, body);
        let sent = app.deliver_with(other, &[("X-BitHuman-Delivery", "dlv_2")]).await;
        assert_eq!(sent.status, 200);
    }
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    let one_of_each = ["stored", "duplicate", "duplicate", "duplicate", "stored"];
    assert_eq!(outcomes, [one_of_each, one_of_each, one_of_each].concat());
    let mut ids = Vec::new();
    for agent in ["agent_abc123", "agent_else"] {
        let path = format!("/v1/sessions/session_xyz789/messages?agent_id={agent}");
        let messages = app.get(&path).await.json()["data"].take();
        assert_eq!(messages.as_array().unwrap().len(), 1, "{agent}");
        ids.push(messages[0]["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[actix_web::test]
async fn test_delivery_is_not_counted() {
    let app = App::start().await;
    let headers = [("X-Test-Webhook", "true")];
    assert_eq!(app.deliver_with(SAMPLES[7], &headers).await.status, 200);
    assert_eq!(app.log().await, [("test".to_owned(), None)]);
    assert!(app.get("/v1/agents").await.json()["data"].as_array().unwrap().is_empty());
}

#[actix_web::test]
async fn delivery_of_a_client_that_disconnects_early_is_stored() {
    let app = App::start().await;
    let body = SAMPLES[7];
    let signature = sign(SECRET, body.as_bytes());
    let mut stream = TcpStream::connect(app.address.trim_start_matches("http://")).unwrap();
    write!(
        stream,
        "POST /webhook HTTP/1.1\r\nHost: h\r\nX-bitHuman-Signature: {signature}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    drop(stream);
    let mut depth = app.backlog.watch_depth();
    // The delivery goes through the inbox without a waiting client.
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while app.log().await.is_empty() {
            depth.changed().await.unwrap();
        }
    })
    .await
    .unwrap();
    assert_eq!(app.log().await, [("stored".to_owned(), None)]);
}

#[actix_web::test]
async fn delivery_can_be_read_at_once_with_ack_postgres() {
    let app = App::start_with(|settings| settings.ack = Ack::Postgres).await;
    for n in 0..20 {
        let body = SAMPLES[7].replace("Pip", &format!("Pip {n}"));
        assert_eq!(app.deliver(body).await.status, 200);
        let session = app.get("/v1/sessions/8d947f06-2c36-4d98-aafe-b232da2433ff").await.json();
        assert_eq!(session["message_count"], n + 1);
    }
}
