//! Redaction through the whole service. Replaced texts are stored nowhere.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;
use verbatim::config::Settings;
use verbatim::domain::{EventId, SourceName};
use verbatim::redact::Kind;

use crate::support::app::{App, now};

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";
const ADDRESS: &str = "jane.doe@example.com";

fn redacting(settings: &mut Settings) {
    settings.sources[0].redaction = [Kind::Email, Kind::Phone, Kind::Card].into_iter().collect();
}

fn chat_push() -> String {
    json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "4111111111111111", "role": "user",
            "message": format!("{ADDRESS}, +49 170 1234567, 4111 1111 1111 1111") } })
    .to_string()
}

fn inbox_holds(data: &tempfile::TempDir, text: &str) -> bool {
    std::fs::read_dir(data.path().join("inbox")).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[actix_web::test]
async fn redacted_text_is_stored_nowhere_and_the_event_keeps_its_id() {
    let app = App::start_with(|settings| {
        redacting(settings);
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.deliver(chat_push()).await.status, 200);
    assert_eq!(app.deliver(format!("torn {{ {ADDRESS}")).await.status, 422);
    let (database, data) = app.stop().await;
    assert!(inbox_holds(&data, "[email], [phone], [card]"), "the redacted text is in the file");
    assert!(!inbox_holds(&data, ADDRESS));

    // The drain reads the delivery from the file.
    let app = App::start_on(database, data, redacting).await;
    app.clock.set(now() + TimeDelta::hours(1));
    app.drained().await;
    let path = "/v1/sessions/4111111111111111/messages";
    let message = app.get(path).await.json()["data"][0].clone();
    assert_eq!(message["message"], "[email], [phone], [card]");
    let id = EventId::of(&SourceName::default(), chat_push().as_bytes()).0;
    assert_eq!(message["id"], id.to_string(), "the hash of the received bytes");
    assert_eq!(app.deliver(chat_push()).await.status, 200);
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["stored", "quarantined", "duplicate"]);
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM deliveries ORDER BY id")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    let expected = chat_push().replace(ADDRESS, "[email]").replace("+49 170 1234567", "[phone]");
    let expected = expected.replace("4111 1111 1111 1111", "[card]");
    assert_eq!(bodies[0], expected.as_bytes(), "nothing else has changed");
    assert_eq!(bodies[1], b"torn { [email]");

    // A retry out of quarantine has the same event ID, too.
    let known: Vec<Option<uuid::Uuid>> =
        sqlx::query_scalar("SELECT event_id FROM deliveries ORDER BY id")
            .fetch_all(app.database.pool())
            .await
            .unwrap();
    assert_eq!((known[0], known[2]), (Some(id), Some(id)));
    app.stop().await;
}

#[actix_web::test]
async fn bodies_are_not_changed_without_redaction() {
    let app = App::start().await;
    app.clock.set(now() + TimeDelta::seconds(1));
    assert_eq!(app.deliver(chat_push()).await.status, 200);
    app.drained().await;
    let row: (Vec<u8>, Option<uuid::Uuid>) =
        sqlx::query_as("SELECT body, event_id FROM deliveries")
            .fetch_one(app.database.pool())
            .await
            .unwrap();
    assert_eq!(row, (chat_push().into_bytes(), None));
    app.stop().await;
}

/// Alternating digits and spaces, which allow very many readings as numbers.
fn digits(bytes: usize) -> String {
    json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "S", "role": "user", "message": "1 ".repeat(bytes / 2) } })
    .to_string()
}

#[actix_web::test]
async fn large_body_is_redacted_and_stored_like_a_small_one() {
    let app = App::start_with(redacting).await;
    app.clock.set(now() + TimeDelta::seconds(1));
    let long = "word ".repeat(4_000);
    let chat_push = |text: &str| {
        json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": now().timestamp(),
            "data": { "session_id": "S", "role": "user",
                "message": format!("{long}{text}") } })
        .to_string()
    };
    let arrived = chat_push(ADDRESS);
    assert_eq!(app.deliver(arrived.clone()).await.status, 200);
    assert_eq!(app.deliver(format!("{long} torn {{ {ADDRESS}")).await.status, 422);
    assert_eq!(app.deliver(digits(64 * 1024)).await.status, 200);
    assert_eq!(app.deliver(arrived.clone()).await.status, 200);
    app.drained().await;
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["stored", "quarantined", "stored", "duplicate"]);
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM deliveries ORDER BY id")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    assert_eq!(bodies[0], chat_push("[email]").as_bytes());
    assert_eq!(bodies[1], format!("{long} torn {{ [email]").as_bytes());
    app.stop().await;
}

#[actix_web::test]
async fn person_is_redacted_also_in_the_fields_of_an_event() {
    let app = App::start_with(redacting).await;
    app.clock.set(now() + TimeDelta::seconds(1));
    let body = json!({ "event_type": "lead.captured", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": ADDRESS, "room_name": ADDRESS,
            "lead": { "name": ADDRESS, "type": ADDRESS, "role": ADDRESS, "event": ADDRESS,
                "room_name": ADDRESS, "phone": "612345678", "order_id": "612345678" } } });
    assert_eq!(app.deliver(body.to_string()).await.status, 200);
    app.drained().await;
    let stored: Vec<u8> = sqlx::query_scalar("SELECT body FROM deliveries")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    let stored: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    let mut expected = body;
    for name in ["name", "type", "role", "event", "room_name"] {
        expected["data"]["lead"][name] = "[email]".into();
    }
    expected["data"]["lead"]["phone"] = "[phone]".into();
    assert_eq!(stored, expected);
    app.stop().await;
}
