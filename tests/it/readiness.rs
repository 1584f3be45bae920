//! `/readyz` and 503 answers: not ready for requests that would fail, and without internals.

use std::time::Duration;

use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tempfile::TempDir;

use crate::support::app::{App, KEY, client};
use crate::support::database::TestDatabase;
use crate::support::process::verbatim;

/// Database URL without a listener.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

async fn sql(database: &TestDatabase, text: &str) {
    let options = database.options().options([("default_transaction_read_only", "off")]);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
}

/// Waits until `/readyz` has this status and writability of Postgres, and returns its answer.
async fn readyz(app: &App, status: &str, writable: bool) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            let answer = app.get("/readyz").await;
            last = answer.json();
            if last["status"] == status && last["postgres"]["writable"] == writable {
                return answer.status;
            }
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_mins(1), waiting).await;
    let expected = if ["ready", "degraded"].contains(&status) { 200 } else { 503 };
    assert_eq!(waited.ok(), Some(expected), "{last}");
    last
}

/// Starts a service on another URL of the database, so that it does not wait for the schema.
async fn start_unready(database: TestDatabase, migrate: bool) -> App {
    let url = format!("{}&application_name=unready", database.url());
    App::start_on(database, TempDir::new().unwrap(), |settings| {
        settings.migrate = migrate;
        settings.database.url = Some(SecretString::from(url));
    })
    .await
}

#[actix_web::test]
async fn read_only_database_is_reported_before_the_first_write() {
    let database = TestDatabase::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    sql(&database, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let app = start_unready(database, true).await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], true);
    assert_eq!(app.deliver(chat_push("kept")).await.status, 200);
    // Writes of the API are rejected with 503 and not 500.
    let key = json!({ "name": "k", "scopes": ["read"] }).to_string();
    let auth = format!("Bearer {KEY}");
    let headers = [("Authorization", auth.as_str()), ("Content-Type", "application/json")];
    let refused = app.post("/v1/keys", key, &headers).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"), "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    for inside in ["database", "Postgres", "read-only", "migrate", "table"] {
        assert!(!refused.text.contains(inside), "{}", refused.text);
    }
    assert_eq!(app.get("/v1/agents").await.status, 200, "reads still work");
    sql(&app.database, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    app.drained().await;
    readyz(&app, "ready", true).await;
}

#[actix_web::test]
async fn failed_write_is_reported_although_postgres_answers() {
    let app = App::start().await;
    readyz(&app, "ready", true).await;
    sql(&app.database, "ALTER TABLE journal RENAME TO journal_elsewhere").await;
    assert_eq!(app.deliver(chat_push("kept")).await.status, 200);
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], true);
    sql(&app.database, "ALTER TABLE journal_elsewhere RENAME TO journal").await;
    app.drained().await;
    readyz(&app, "ready", true).await;
}

#[actix_web::test]
async fn unsuitable_database_is_not_written_to() {
    let database = TestDatabase::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    let made = format!("{name}_latin1");
    sql(
        &database,
        &format!("CREATE DATABASE {made} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"),
    )
    .await;
    let url = database.url().replace(&name, &made);
    let app = App::start_on(database, TempDir::new().unwrap(), |settings| {
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["schema"], "unknown");
    assert_eq!(app.deliver(chat_push("kept")).await.status, 200);
    let (database, _data) = app.stop().await;
    sql(&database, &format!("DROP DATABASE {made} WITH (FORCE)")).await;
}

#[actix_web::test]
async fn first_start_is_ready_when_all_of_the_api_answers() {
    let app = start_unready(TestDatabase::empty().await, true).await;
    assert_eq!(app.deliver(chat_push("kept")).await.status, 200, "from the first moment");
    loop {
        let answer = app.get("/readyz").await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.json()["status"], "starting", "{answer:?}");
        tokio::task::yield_now().await;
    }
    let document = app.get("/openapi.json").await.json();
    let (http, mut requests) = (client(), 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() {
            continue;
        }
        let url = format!("{}{}", app.address, path.replace(['{', '}'], ""));
        // Read only the status: a stream has no end.
        let answer = http.get(url).bearer_auth(KEY).send().await.unwrap();
        assert!(answer.status() < StatusCode::INTERNAL_SERVER_ERROR, "{path}: {answer:?}");
        requests += 1;
    }
    assert!(requests > 15, "{requests}");
}

#[actix_web::test]
async fn start_without_schema_is_not_ready_at_first_and_degraded_later() {
    let app = start_unready(TestDatabase::empty().await, false).await;
    readyz(&app, "starting", false).await;
    let refused = app.get("/v1/agents").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    for inside in ["database", "table", "migrate"] {
        assert!(!refused.text.contains(inside), "{}", refused.text);
    }
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], false, "deliveries stay in the inbox");
}

#[actix_web::test]
async fn healthcheck_fails_without_a_service() {
    let app = App::start().await;
    let check = async |listen: &str| {
        let mut command = tokio::process::Command::from(verbatim());
        command.args(["healthcheck", "--listen", listen]).kill_on_drop(true).output().await.unwrap()
    };
    let healthy = check(app.address.trim_start_matches("http://")).await;
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    let report: Value = serde_json::from_slice(&healthy.stdout).unwrap();
    assert_eq!(report["status"], "ready");

    let without_service = check("127.0.0.1:1").await;
    assert_eq!(without_service.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&without_service.stderr);
    assert!(stderr.contains("no answer from http://127.0.0.1:1/readyz"), "{stderr}");
}
