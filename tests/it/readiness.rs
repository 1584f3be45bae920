//! `/readyz` and a 503 say what is so: not ready for what would fail, and nothing of the inside.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _};
use tempfile::TempDir;
use verbatim::config::Secret;

use crate::support::app::{App, KEY, client};
use crate::support::database::TestDatabase;
use crate::support::process::verbatim;

/// A port that nobody listens on.
const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";

fn said(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

async fn sql(database: &TestDatabase, text: &str) {
    let options = database.options().options([("default_transaction_read_only", "off")]);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text.to_owned())).execute(&mut connection).await.unwrap();
}

/// The answer of `/readyz` as soon as it has this status and says this of Postgres' writability.
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

/// A service on a database by another URL, so that its start does not wait for the schema.
async fn start_unready(database: TestDatabase, migrate: bool) -> App {
    let url = format!("{}&application_name=unready", database.url());
    App::start_on(database, TempDir::new().unwrap(), |settings| {
        settings.migrate = migrate;
        settings.database.url = Some(Secret::new(url));
    })
    .await
}

#[actix_web::test]
async fn a_read_only_database_is_told_before_anything_is_written_to_it() {
    let database = TestDatabase::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    sql(&database, &format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let app = start_unready(database, true).await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], true);
    assert_eq!(app.deliver(said("kept")).await.status, 200);
    // What is to be written by the API is refused for now, and not as a fault of ours.
    let key = json!({ "name": "k", "scopes": ["read"] }).to_string();
    let auth = format!("Bearer {KEY}");
    let headers = [("Authorization", auth.as_str()), ("Content-Type", "application/json")];
    let refused = app.post("/v1/keys", key, &headers).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"), "{refused:?}");
    assert_eq!(refused.headers["retry-after"], "1");
    for inside in ["database", "Postgres", "read-only", "migrate", "table"] {
        assert!(!refused.text.contains(inside), "{}", refused.text);
    }
    assert_eq!(app.get("/v1/agents").await.status, 200, "reading goes on");
    sql(&app.database, &format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    app.drained().await;
    readyz(&app, "ready", true).await;
}

#[actix_web::test]
async fn a_write_that_fails_is_told_although_postgres_answers() {
    let app = App::start().await;
    readyz(&app, "ready", true).await;
    sql(&app.database, "ALTER TABLE journal RENAME TO journal_elsewhere").await;
    assert_eq!(app.deliver(said("kept")).await.status, 200);
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], true);
    sql(&app.database, "ALTER TABLE journal_elsewhere RENAME TO journal").await;
    app.drained().await;
    readyz(&app, "ready", true).await;
}

#[actix_web::test]
async fn a_database_that_does_not_suit_us_takes_nothing() {
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
        settings.database.url = Some(Secret::new(url));
    })
    .await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["schema"], "unknown");
    assert_eq!(app.deliver(said("kept")).await.status, 200);
    let (database, _data) = app.stop().await;
    sql(&database, &format!("DROP DATABASE {made} WITH (FORCE)")).await;
}

#[actix_web::test]
async fn a_first_start_is_ready_once_all_of_the_api_answers() {
    let app = start_unready(TestDatabase::empty().await, true).await;
    assert_eq!(app.deliver(said("kept")).await.status, 200, "from the first moment");
    loop {
        let answer = app.get("/readyz").await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.json()["status"], "starting", "{answer:?}");
        tokio::task::yield_now().await;
    }
    let document = app.get("/openapi.json").await.json();
    let (http, mut asked) = (client(), 0);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() {
            continue;
        }
        let url = format!("{}{}", app.address, path.replace(['{', '}'], ""));
        // The status alone, since a stream has no end.
        let answer = http.get(url).bearer_auth(KEY).send().await.unwrap();
        assert!(answer.status() < StatusCode::INTERNAL_SERVER_ERROR, "{path}: {answer:?}");
        asked += 1;
    }
    assert!(asked > 15, "{asked}");
}

#[actix_web::test]
async fn a_first_start_that_waits_for_its_schema_is_not_ready_and_a_later_one_is_degraded() {
    let app = start_unready(TestDatabase::empty().await, false).await;
    readyz(&app, "starting", false).await;
    let refused = app.get("/v1/agents").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"));
    for inside in ["database", "table", "migrate"] {
        assert!(!refused.text.contains(inside), "{}", refused.text);
    }
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |settings| {
        settings.database.url = Some(Secret::new(NOBODY.into()));
    })
    .await;
    let ready = readyz(&app, "degraded", false).await;
    assert_eq!(ready["postgres"]["reachable"], false, "what arrives is kept meanwhile");
}

#[actix_web::test]
async fn the_healthcheck_of_containers_tells_a_service_that_answers_from_none() {
    let app = App::start().await;
    let check = async |listen: &str| {
        let mut command = tokio::process::Command::from(verbatim());
        command.args(["healthcheck", "--listen", listen]).kill_on_drop(true).output().await.unwrap()
    };
    let well = check(app.address.trim_start_matches("http://")).await;
    assert!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    let said: Value = serde_json::from_slice(&well.stdout).unwrap();
    assert_eq!(said["status"], "ready");

    let nobody = check("127.0.0.1:1").await;
    assert_eq!(nobody.status.code(), Some(1));
    let said = String::from_utf8_lossy(&nobody.stderr);
    assert!(said.contains("does not answer at http://127.0.0.1:1/readyz"), "{said}");
}
