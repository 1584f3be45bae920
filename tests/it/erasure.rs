//! What is erased is gone: from the database's dump, from the inbox's files, and for good.

use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::backup::run;
use crate::support::app::{App, now};
use crate::support::programs::server_program;

/// What is said in the session that is erased, and nowhere else.
const HUSH: &str = "zebracrossing";
/// What is said in another one.
const LOUD: &str = "everybody-may-know";

fn said(session: &str, text: &str, at: Option<DateTime<Utc>>) -> String {
    let mut body = json!({ "event_type": "chat.push", "agent_id": "A",
        "data": { "session_id": session, "role": "user", "message": text } });
    if let Some(at) = at {
        body["timestamp"] = at.timestamp().into();
    }
    body.to_string()
}

/// Everything that names the session, in every way that it can lie about: stored with a time and
/// without, repeated, ended, and in quarantine.
fn deliveries() -> Vec<String> {
    let room = json!({ "event_type": "room.join", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "gone", "room_name": HUSH } });
    let end = json!({ "event_type": "session_end", "agent_id": "A", "timestamp": now().timestamp(),
        "session_id": "gone", "session": { "endReason": HUSH } });
    let unreadable = json!({ "event_type": "chat.push", "agent_id": "A",
        "data": { "session_id": "gone", "role": "user", "message": [HUSH] } });
    vec![
        room.to_string(),
        said("gone", &format!("{HUSH} 1"), Some(now())),
        said("gone", &format!("{HUSH} 2"), None),
        said("gone", &format!("{HUSH} 1"), Some(now())),
        end.to_string(),
        unreadable.to_string(),
        format!("{{\"session_id\": \"gone\", \"torn\": \"{HUSH}"),
    ]
}

/// The whole database as text.
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

/// It, or the bytes that stand for it in a dump of `bytea`.
fn holds(dump: &str, text: &str) -> bool {
    dump.contains(text) || dump.contains(&hex::encode(text))
}

fn any_file_holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

/// Rows of the index for searching that have a word.
fn search_documents(dump: &str, word: &str) -> usize {
    let tables = dump.split("COPY public.search_parts_").skip(1);
    let rows = tables.flat_map(|table| table.lines().take_while(|row| *row != "\\."));
    rows.filter(|row| row.contains(word)).count()
}

/// Resolves once the messages of the session can be searched for.
async fn until_it_is_found(app: &App) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.get(&format!("/v1/search?q={HUSH}")).await.json()["data"].as_array().unwrap().len()
        < 2
    {
        assert!(Instant::now() < deadline, "it is not found");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Resolves once somebody waits for a lock of a kind.
async fn until_one_waits(app: &App, kind: &str) {
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
        assert!(Instant::now() < deadline, "nobody waits: {kind}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn agent(app: &App) -> Value {
    app.get("/v1/agents/A").await.json()
}

#[actix_web::test]
async fn an_erased_session_is_in_no_dump_and_in_no_file_and_does_not_come_back() {
    if server_program("pg_dump").is_none() {
        return;
    }
    let app = App::start().await;
    assert_eq!(app.deliver(said("stays", LOUD, Some(now()))).await.status, 200);
    for body in deliveries() {
        assert!([200, 422].contains(&app.deliver(body).await.status));
    }
    app.drained().await;
    // The index for searching has it too, a while later.
    until_it_is_found(&app).await;
    let before = dump(&app);
    assert!(holds(&before, HUSH) && holds(&before, LOUD), "this test sees what it looks for");
    assert_eq!(search_documents(&before, HUSH), 2);
    assert!(any_file_holds(&app.data.path().join("inbox"), HUSH));
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
    assert!(!holds(&after, HUSH), "nothing of it is left");
    assert_eq!(search_documents(&after, HUSH), 0);
    assert!(holds(&after, LOUD), "and nothing else has gone");
    assert_eq!(agent(&app).await["message_count"], 1);
    assert_eq!(agent(&app).await["session_count"], 1);
    assert_eq!(app.ask("DELETE", "/v1/sessions/gone").await.code(), "not_found");

    // The sender tries again, or somebody imports what was kept elsewhere.
    app.clock.set(now() + TimeDelta::hours(1));
    for body in deliveries().into_iter().take(5) {
        assert_eq!(app.deliver(body).await.status, 200);
    }
    let log = app.log().await;
    assert_eq!(log.len(), 6, "one of the other session, and five that came again");
    for (outcome, reason) in &log[1..] {
        assert_eq!((outcome.as_str(), reason.as_deref()), ("duplicate", Some("it was erased")));
    }
    assert!(!holds(&dump(&app), HUSH));
    assert_eq!(app.get("/v1/sessions/gone").await.status, 404);

    // What happens later begins it anew.
    assert_eq!(app.deliver(said("gone", "hello again", Some(app.clock.now()))).await.status, 200);
    app.drained().await;
    assert_eq!(app.get("/v1/sessions/gone").await.json()["message_count"], 1);
    let (_database, data) = app.stop().await;
    assert!(!any_file_holds(&data.path().join("inbox"), HUSH), "nor in the inbox's files");
}

#[actix_web::test]
async fn what_waits_in_the_inbox_when_its_agent_is_erased_is_not_stored() {
    if server_program("pg_dump").is_none() {
        return;
    }
    let app = App::start().await;
    app.deliver(said("one", LOUD, Some(now()))).await;
    app.drained().await;
    // The drain is held up; the erasure waits for it, and it for the lock.
    let mut held = app.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE joins IN EXCLUSIVE MODE").execute(&mut *held).await.unwrap();
    let join = json!({ "event_type": "room.join", "agent_id": "A", "timestamp": now().timestamp(),
        "data": { "session_id": "two" } });
    app.deliver(join.to_string()).await;
    until_one_waits(&app, "relation").await;
    let undrained = [said("one", HUSH, None), said("three", HUSH, Some(now()))];
    for body in undrained.into_iter().chain([format!("{{\"agent_id\":\"A\",\"{HUSH}")]) {
        app.deliver(body).await;
    }
    let (receipt, ()) = tokio::join!(app.ask("DELETE", "/v1/agents/A"), async {
        until_one_waits(&app, "advisory").await;
        held.rollback().await.unwrap();
    });
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    app.drained().await;
    assert!(!holds(&dump(&app), HUSH));
    for path in ["/v1/agents/A", "/v1/sessions/one", "/v1/sessions/two", "/v1/sessions/three"] {
        assert_eq!(app.get(path).await.status, 404, "{path}");
    }
    app.stop().await;
}

/// Documents of the index for searching, and how many of them have the word that is not to be said.
async fn indexed(app: &App) -> (i64, Option<i64>) {
    sqlx::query_as(
        "SELECT
            (SELECT count(*) FROM search_parts),
            (SELECT documents FROM search_vocabulary WHERE word = $1)",
    )
    .bind(HUSH)
    .fetch_one(app.database.pool())
    .await
    .unwrap()
}

#[actix_web::test]
async fn an_erased_agent_leaves_nothing_in_the_index_for_searching() {
    let app = App::start().await;
    let of_another = said("other", LOUD, Some(now())).replace(r#""A""#, r#""B""#);
    for body in [of_another, said("one", HUSH, Some(now())), said("two", HUSH, None)] {
        assert_eq!(app.deliver(body).await.status, 200);
    }
    app.drained().await;
    until_it_is_found(&app).await;
    assert_eq!(indexed(&app).await, (3, Some(2)));

    let receipt = app.ask("DELETE", "/v1/agents/A").await;
    assert_eq!(receipt.status, 200, "{}", receipt.text);
    assert_eq!(receipt.json()["rows"]["search_documents"], 2);
    assert_eq!(indexed(&app).await, (1, None), "the other agent's alone");
    assert_eq!(app.get("/v1/agents/B").await.json()["message_count"], 1);
    app.stop().await;
}
