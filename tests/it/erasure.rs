//! Erased texts are in no dump of the database and in no file of the inbox, and do not come back.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::backup::run;
use crate::support::app::{App, now};
use crate::support::programs::server_program;

/// Text in the erased session only.
const ERASED_TEXT: &str = "zebracrossing";
/// Text in another session.
const OTHER_TEXT: &str = "everybody-may-know";

fn chat_push(session: &str, text: &str, at: Option<DateTime<Utc>>) -> String {
    let mut body = json!({ "event_type": "chat.push", "agent_id": "A",
        "data": { "session_id": session, "role": "user", "message": text } });
    if let Some(at) = at {
        body["timestamp"] = at.timestamp().into();
    }
    body.to_string()
}

/// All kinds of deliveries of the session: dated, undated, duplicate, its end, and unreadable.
fn deliveries() -> Vec<String> {
    let room = json!({ "event_type": "room.join", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "gone", "room_name": ERASED_TEXT } });
    let end = json!({ "event_type": "session_end", "agent_id": "A", "timestamp": now().timestamp(),
        "session_id": "gone", "session": { "endReason": ERASED_TEXT } });
    let unreadable = json!({ "event_type": "chat.push", "agent_id": "A",
        "data": { "session_id": "gone", "role": "user", "message": [ERASED_TEXT] } });
    vec![
        room.to_string(),
        chat_push("gone", &format!("{ERASED_TEXT} 1"), Some(now())),
        chat_push("gone", &format!("{ERASED_TEXT} 2"), None),
        chat_push("gone", &format!("{ERASED_TEXT} 1"), Some(now())),
        end.to_string(),
        unreadable.to_string(),
        format!("{{\"session_id\": \"gone\", \"torn\": \"{ERASED_TEXT}"),
    ]
}

/// Returns the whole database as text.
fn dump(app: &App) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("dump.sql");
    run(server_program("pg_dump")
        .unwrap()
        .arg(format!("--dbname={}", app.database.url()))
        .args(["--format=plain", "--file"])
        .arg(&file));
    std::fs::read_to_string(file).unwrap()
}

/// Returns true if a dump contains a text, also as `bytea`.
fn holds(dump: &str, text: &str) -> bool {
    dump.contains(text) || dump.contains(&hex::encode(text))
}

fn any_file_holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Counts the rows of the search index that contain a word.
fn search_documents(dump: &str, word: &str) -> usize {
    let tables = dump.split("COPY public.search_parts_").skip(1);
    let rows = tables.flat_map(|table| table.lines().take_while(|row| *row != "\\."));
    rows.filter(|row| row.contains(word)).count()
}

/// Waits until the messages of the session are in the search index.
async fn until_indexed(app: &App) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.get(&format!("/v1/search?q={ERASED_TEXT}")).await.json()["data"]
        .as_array()
        .unwrap()
        .len()
        < 2
    {
        assert!(Instant::now() < deadline, "not in the search index");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a connection waits for a lock of this kind.
async fn until_waiting_for_lock(app: &App, kind: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event = $1",
        )
        .bind(kind)
        .fetch_one(app.database.pool())
        .await
        .unwrap();
        if waiting > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no connection waits for a lock: {kind}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn agent(app: &App) -> Value {
    app.get("/v1/agents/A").await.json()
}

#[actix_web::test]
async fn erased_session_is_in_no_dump_or_file_and_does_not_come_back() {
    if server_program("pg_dump").is_none() {
        return;
    }
    let app = App::start().await;
    assert_eq!(app.deliver(chat_push("stays", OTHER_TEXT, Some(now()))).await.status, 200);
    for body in deliveries() {
        assert!([200, 422].contains(&app.deliver(body).await.status));
    }
    app.drained().await;
    // The search index gets the messages a little later.
    until_indexed(&app).await;
    let before = dump(&app);
    assert!(
        holds(&before, ERASED_TEXT) && holds(&before, OTHER_TEXT),
        "the dump contains both texts before"
    );
    assert_eq!(search_documents(&before, ERASED_TEXT), 2);
    assert!(any_file_holds(&app.data.path().join("inbox"), ERASED_TEXT));
    assert_eq!(agent(&app).await["message_count"], 3);

    let receipt = app.ask("DELETE", "/v1/sessions/gone").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    let receipt = receipt.json();
    assert_eq!(
        receipt["rows"],
        json!({ "sessions": 1, "messages": 2, "guarded_messages": 1, "joins": 1,
            "other_events": 1, "search_documents": 2, "deliveries": 7 })
    );
    assert_eq!((&receipt["kind"], &receipt["session_id"]), (&json!("session"), &json!("gone")));
    let after = dump(&app);
    assert!(!holds(&after, ERASED_TEXT), "an erased text is left");
    assert_eq!(search_documents(&after, ERASED_TEXT), 0);
    assert!(holds(&after, OTHER_TEXT), "another session is erased");
    assert_eq!(agent(&app).await["message_count"], 1);
    assert_eq!(agent(&app).await["session_count"], 1);
    assert_eq!(app.ask("DELETE", "/v1/sessions/gone").await.code(), "not_found");

    // The sender retries, or a client imports a copy.
    app.clock.set(now() + TimeDelta::hours(1));
    for body in deliveries().into_iter().take(5) {
        assert_eq!(app.deliver(body).await.status, 200);
    }
    let log = app.log().await;
    assert_eq!(log.len(), 6, "one of the other session, and five retries");
    for (outcome, reason) in &log[1..] {
        assert_eq!((outcome.as_str(), reason.as_deref()), ("duplicate", Some("it was erased")));
    }
    assert!(!holds(&dump(&app), ERASED_TEXT));
    assert_eq!(app.get("/v1/sessions/gone").await.status, 404);

    // A later message begins a new session.
    assert_eq!(
        app.deliver(chat_push("gone", "hello again", Some(app.clock.now()))).await.status,
        200
    );
    app.drained().await;
    assert_eq!(app.get("/v1/sessions/gone").await.json()["message_count"], 1);
    let (_database, data) = app.stop().await;
    assert!(
        !any_file_holds(&data.path().join("inbox"), ERASED_TEXT),
        "an erased text is left in the inbox"
    );
}

#[actix_web::test]
async fn undrained_deliveries_of_an_erased_agent_are_not_stored() {
    if server_program("pg_dump").is_none() {
        return;
    }
    let app = App::start().await;
    app.deliver(chat_push("one", OTHER_TEXT, Some(now()))).await;
    app.drained().await;
    // The drain waits for this lock, and the erasure waits for the drain.
    let mut held = app.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE joins IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let join = json!({ "event_type": "room.join", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "two" } });
    app.deliver(join.to_string()).await;
    until_waiting_for_lock(&app, "relation").await;
    let undrained =
        [chat_push("one", ERASED_TEXT, None), chat_push("three", ERASED_TEXT, Some(now()))];
    for body in undrained.into_iter().chain([format!("{{\"agent_id\":\"A\",\"{ERASED_TEXT}")]) {
        app.deliver(body).await;
    }
    let (receipt, ()) = tokio::join!(app.ask("DELETE", "/v1/agents/A"), async {
        until_waiting_for_lock(&app, "advisory").await;
        held.rollback().await.unwrap();
    });
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    app.drained().await;
    assert!(!holds(&dump(&app), ERASED_TEXT));
    for path in ["/v1/agents/A", "/v1/sessions/one", "/v1/sessions/two", "/v1/sessions/three"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    app.stop().await;
}

/// Counts the documents of the search index, and those with the erased text.
async fn indexed(app: &App) -> (i64, Option<i64>) {
    sqlx::query_as(
        "SELECT
            (SELECT count(*) FROM search_parts),
            (SELECT documents FROM search_vocabulary WHERE word = $1)",
    )
    .bind(ERASED_TEXT)
    .fetch_one(app.database.pool())
    .await
    .unwrap()
}

#[actix_web::test]
async fn erased_agent_leaves_no_document_in_the_search_index() {
    let app = App::start().await;
    let of_another = chat_push("other", OTHER_TEXT, Some(now())).replace(r#""A""#, r#""B""#);
    for body in [
        of_another,
        chat_push("one", ERASED_TEXT, Some(now())),
        chat_push("two", ERASED_TEXT, None),
    ] {
        assert_eq!(app.deliver(body).await.status, 200);
    }
    app.drained().await;
    until_indexed(&app).await;
    assert_eq!(indexed(&app).await, (3, Some(2)));

    let receipt = app.ask("DELETE", "/v1/agents/A").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    assert_eq!(receipt.json()["rows"]["search_documents"], 2);
    assert_eq!(indexed(&app).await, (1, None), "only the other agent's");
    assert_eq!(app.get("/v1/agents/B").await.json()["message_count"], 1);
    app.stop().await;
}
