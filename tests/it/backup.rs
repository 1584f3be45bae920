//! Backup and restore as docs/operations/backup-and-restore.md describes it: inbox first, then the
//! database; the restored service continues as if nothing had happened.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::support::app::{App, SECRET, sign};
use super::support::database::TestDatabase;
use super::support::programs::server_program;

/// What the sender delivers: joins, messages, one without a time, one under the sender's id.
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

/// Every conversation as the API tells it, without what depends on when it was delivered.
async fn conversations(app: &App) -> Vec<Value> {
    app.drained().await;
    let sessions = app.get("/v1/sessions?order=asc&limit=500&include=messages").await;
    assert_eq!(sessions.status, 200, "{}", sessions.text);
    let mut sessions = sessions.json()["data"].as_array().unwrap().clone();
    for session in &mut sessions {
        session.as_object_mut().unwrap().retain(|name, _| !is_of_the_arrival(name));
        let messages = session["messages"].as_array_mut().unwrap();
        for message in &mut *messages {
            message.as_object_mut().unwrap().retain(|name, _| !is_of_the_arrival(name));
        }
        // One without a time stands where it arrived.
        messages.sort_by_key(|message| message["message"].to_string());
    }
    sessions.sort_by_key(|session| session["id"].to_string());
    sessions
}

/// A message without a time takes that of its arrival, and so may its session.
fn is_of_the_arrival(field: &str) -> bool {
    ["received_at", "timestamp", "last_activity_at", "duration_seconds", "status"].contains(&field)
        || ["ended_at", "end_reason", "started_at"].contains(&field)
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The inbox of a service that runs, as a whole file.
async fn copy_inbox(data: &TempDir, to: &Path) {
    let inbox = data.path().join("inbox/inbox.sqlite");
    let options = SqliteConnectOptions::new().filename(inbox).read_only(true);
    let mut connection = options.connect().await.unwrap();
    let to = to.to_str().unwrap();
    sqlx::query("VACUUM INTO ?1").bind(to).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[actix_web::test]
async fn what_is_restored_goes_on_as_if_nothing_had_been() {
    let (Some(mut pg_dump), Some(mut pg_restore)) =
        (server_program("pg_dump"), server_program("pg_restore"))
    else {
        return;
    };
    let original = App::start().await;
    deliver(&original, 0..40).await;
    original.drained().await;

    // Some are answered, and Postgres has not got them when the backup is made.
    let mut held = original.database.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE sessions IN SHARE MODE").execute(&mut *held).await.unwrap();
    deliver(&original, 40..60).await;
    let kept = TempDir::new().unwrap();
    let (inbox, dump): (PathBuf, PathBuf) =
        (kept.path().join("inbox.sqlite"), kept.path().join("verbatim.dump"));
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
    assert_eq!(conversations(&restored).await, before, "everything that was answered is there");

    // The sender tries again, and goes on.
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
