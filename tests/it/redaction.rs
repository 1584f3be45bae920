//! Redaction through the whole service: what it replaces is kept nowhere.

use chrono::TimeDelta;
use serde_json::json;
use verbatim::config::{Secret, Settings};
use verbatim::domain::{EventId, SourceName};
use verbatim::redact::Kind;

use crate::support::app::{App, now};

/// A port that nobody listens on: connections to it are refused at once.
const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";
const ADDRESS: &str = "jane.doe@example.com";

fn redacting(settings: &mut Settings) {
    settings.sources[0].redaction = [Kind::Email, Kind::Phone, Kind::Card].into_iter().collect();
}

fn said() -> String {
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
async fn what_is_redacted_is_kept_nowhere_and_stays_the_same_event() {
    let app = App::start_with(|settings| {
        redacting(settings);
        settings.database.url = Some(Secret::new(NOBODY.into()));
    })
    .await;
    assert_eq!(app.deliver(said()).await.status, 200);
    assert_eq!(app.deliver(format!("torn {{ {ADDRESS}")).await.status, 422);
    let (database, data) = app.stop().await;
    assert!(inbox_holds(&data, "[email], [phone], [card]"), "it waits in the file");
    assert!(!inbox_holds(&data, ADDRESS));

    // It is read back from the file, and is what it was.
    let app = App::start_on(database, data, redacting).await;
    app.clock.set(now() + TimeDelta::hours(1));
    app.drained().await;
    let path = "/v1/sessions/4111111111111111/messages";
    let message = app.get(path).await.json()["data"][0].clone();
    assert_eq!(message["message"], "[email], [phone], [card]");
    let id = EventId::of(&SourceName::default(), said().as_bytes()).0;
    assert_eq!(message["id"], id.to_string(), "the hash of what arrived");
    assert_eq!(app.deliver(said()).await.status, 200);
    let outcomes: Vec<_> = app.log().await.into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, ["stored", "quarantined", "duplicate"]);
    let bodies: Vec<Vec<u8>> = sqlx::query_scalar("SELECT body FROM deliveries ORDER BY id")
        .fetch_all(app.database.pool())
        .await
        .unwrap();
    let expected = said().replace(ADDRESS, "[email]").replace("+49 170 1234567", "[phone]");
    let expected = expected.replace("4111 1111 1111 1111", "[card]");
    assert_eq!(bodies[0], expected.as_bytes(), "nothing else has changed");
    assert_eq!(bodies[1], b"torn { [email]");

    // Out of quarantine it would be the same event, too.
    let known: Vec<Option<uuid::Uuid>> =
        sqlx::query_scalar("SELECT event_id FROM deliveries ORDER BY id")
            .fetch_all(app.database.pool())
            .await
            .unwrap();
    assert_eq!((known[0], known[2]), (Some(id), Some(id)));
    app.stop().await;
}

#[actix_web::test]
async fn where_nobody_asks_for_it_nothing_is_touched() {
    let app = App::start().await;
    app.clock.set(now() + TimeDelta::seconds(1));
    assert_eq!(app.deliver(said()).await.status, 200);
    app.drained().await;
    let row: (Vec<u8>, Option<uuid::Uuid>) =
        sqlx::query_as("SELECT body, event_id FROM deliveries")
            .fetch_one(app.database.pool())
            .await
            .unwrap();
    assert_eq!(row, (said().into_bytes(), None));
    app.stop().await;
}

/// A digit and a space over and over, which can be read as numbers in ever so many ways.
fn digits(bytes: usize) -> String {
    json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "S", "role": "user", "message": "1 ".repeat(bytes / 2) } })
    .to_string()
}

#[actix_web::test]
async fn a_large_body_is_redacted_and_stored_like_a_small_one() {
    let app = App::start_with(redacting).await;
    app.clock.set(now() + TimeDelta::seconds(1));
    let long = "word ".repeat(4_000);
    let said = |text: &str| {
        json!({ "event_type": "chat.push", "agent_id": "A", "timestamp": now().timestamp(),
            "data": { "session_id": "S", "role": "user",
                "message": format!("{long}{text}") } })
        .to_string()
    };
    let arrived = said(ADDRESS);
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
    assert_eq!(bodies[0], said("[email]").as_bytes());
    assert_eq!(bodies[1], format!("{long} torn {{ [email]").as_bytes());
    app.stop().await;
}

#[actix_web::test]
async fn a_person_is_redacted_under_the_names_that_an_event_has_too() {
    let app = App::start_with(redacting).await;
    app.clock.set(now() + TimeDelta::seconds(1));
    let body = json!({ "event_type": "lead.captured", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": ADDRESS, "room_name": ADDRESS,
            "lead": { "name": ADDRESS, "type": ADDRESS, "role": ADDRESS, "event": ADDRESS,
                "room_name": ADDRESS, "phone": "612345678", "order_id": "612345678" } } });
    assert_eq!(app.deliver(body.to_string()).await.status, 200);
    app.drained().await;
    let kept: Vec<u8> = sqlx::query_scalar("SELECT body FROM deliveries")
        .fetch_one(app.database.pool())
        .await
        .unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    let mut expected = body;
    for name in ["name", "type", "role", "event", "room_name"] {
        expected["data"]["lead"][name] = "[email]".into();
    }
    expected["data"]["lead"]["phone"] = "[phone]".into();
    assert_eq!(kept, expected);
    app.stop().await;
}
