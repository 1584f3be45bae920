//! Backup and restore as described in docs/operations/backup-and-restore.md: first the inbox, then
//! the database. The restored service continues without a gap.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::support::app::{App, SECRET, sign};
use super::support::database::TestDatabase;
use super::support::programs::server_program;

/// Delivery `n` of the sender: a join or a message, some without a time, some with a delivery ID.
fn delivery(n: usize) -> (String, Option<String>) {
    let session = format!("session {}", n % 7);
    let at = 1_790_607_253.25 + f64::from(u32::try_from(n).unwrap());
    let text = format!("Nachricht {n}: 世界 🦊");
    let body = match n % 10 {
        0 => json!({ "event_type": "room.join", "agent_id": "a", "timestamp": at,
            "data": { "session_id": session, "room_name": "hall" } }),
        1 => json!({ "event_type": "chat.push", "agent_id": "a",
            "data": { "session_id": session, "role": "user", "message": text } }),
        _ => json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": at,
            "data": { "session_id": session, "role": "assistant", "message": text } }),
    };
    (body.to_string(), (n % 10 == 2).then(|| format!("dlv_{n}")))
}

async fn deliver(app: &App, which: std::ops::Range<usize>) {
    for n in which {
        let (body, id) = delivery(n);
        let signature = sign(SECRET, body.as_bytes());
        let mut headers = vec![("X-bitHuman-Signature", signature.as_str())];
        headers.extend(id.as_deref().map(|id| ("X-BitHuman-Delivery", id)));
        assert_eq!(app.post("/webhook", body, &headers).await.status, 200);
    }
}

/// All conversations of the API, without the fields that depend on the time of arrival.
async fn conversations(app: &App) -> Vec<Value> {
    app.drained().await;
    let sessions = app.get("/v1/sessions?order=asc&limit=500&include=messages").await;
    assert_eq!(sessions.status, 200, "{}", sessions.text);
    let mut sessions = sessions.json()["data"].as_array().unwrap().clone();
    for session in &mut sessions {
        session.as_object_mut().unwrap().retain(|name, _| !depends_on_arrival(name));
        let messages = session["messages"].as_array_mut().unwrap();
        for message in &mut *messages {
            message.as_object_mut().unwrap().retain(|name, _| !depends_on_arrival(name));
        }
        // A message without a time is ordered by its arrival.
        messages.sort_by_key(|message| message["message"].to_string());
    }
    sessions.sort_by_key(|session| session["id"].to_string());
    sessions
}

/// A message without a time gets the time of its arrival, and so may its session.
fn depends_on_arrival(field: &str) -> bool {
    ["received_at", "timestamp", "last_activity_at", "duration_seconds", "status"].contains(&field)
        || ["ended_at", "end_reason", "started_at"].contains(&field)
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}

/// Copies the inbox of a running service into one file.
async fn copy_inbox(data: &TempDir, to: &Path) {
    let inbox = data.path().join("inbox/inbox.sqlite");
    let options = SqliteConnectOptions::new().filename(inbox).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let to = to.to_str().unwrap();
    sqlx::query("VACUUM INTO ?1").bind(to).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[actix_web::test]
async fn restored_service_has_every_answered_delivery_and_continues() {
    let (Some(mut pg_dump), Some(mut pg_restore)) =
        (server_program("pg_dump"), server_program("pg_restore"))
    else {
        return;
    };
    let original = App::start().await;
    deliver(&original, 0..40).await;
    original.drained().await;

    // Some deliveries are answered but not in Postgres when the backup is made.
    let mut held = original.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE sessions IN SHARE MODE").execute(&mut *held).await.unwrap();
    deliver(&original, 40..60).await;
    let backup = TempDir::new().unwrap();
    let (inbox, dump): (PathBuf, PathBuf) =
        (backup.path().join("inbox.sqlite"), backup.path().join("verbatim.dump"));
    copy_inbox(&original.data, &inbox).await;
    run(pg_dump
        .arg(format!("--dbname={}", original.database.url()))
        .args(["--format=custom", "--file"])
        .arg(&dump));
    held.rollback().await.unwrap();

    let (database, data) = (TestDatabase::empty().await, TempDir::new().unwrap());
    run(pg_restore
        .arg(format!("--dbname={}", database.url()))
        .args(["--single-transaction", "--exit-on-error"])
        .arg(&dump));
    std::fs::create_dir(data.path().join("inbox")).unwrap();
    std::fs::copy(&inbox, data.path().join("inbox/inbox.sqlite")).unwrap();
    let restored = App::start_on(database, data, |_| {}).await;
    let before = conversations(&original).await;
    assert_eq!(before.len(), 7);
    assert_eq!(conversations(&restored).await, before, "every answered delivery is there");

    // The sender retries all deliveries and sends more.
    for app in [&original, &restored] {
        deliver(app, 0..60).await;
        deliver(app, 60..80).await;
    }
    let after = conversations(&original).await;
    assert_ne!(after, before);
    assert_eq!(conversations(&restored).await, after);
    let outcomes: Vec<(String, i64)> = sqlx::query_as(
        "SELECT outcome, count(*) FROM deliveries GROUP BY outcome ORDER BY outcome",
    )
    .fetch_all(restored.database.pool())
    .await
    .unwrap();
    assert_eq!(outcomes, [("duplicate".to_owned(), 60), ("stored".to_owned(), 80)]);
    original.stop().await;
    restored.stop().await;
}
