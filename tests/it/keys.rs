//! `verbatim keys`.

use std::process::{Command, Output};

use crate::support::database::TestDatabase;

fn verbatim(database: &TestDatabase, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_verbatim"))
        .args(args)
        .env("DATABASE_URL", database.url())
        .output()
        .expect("runs")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("text")
}

#[tokio::test]
async fn key_is_created_listed_and_revoked() {
    let database = TestDatabase::create().await;
    let made = verbatim(
        &database,
        &[
            "keys",
            "create",
            "--name",
            "n8n",
            "--scope",
            "read",
            "--scope",
            "export",
            "--agent",
            "A",
            "--expires",
            "90d",
        ],
    );
    assert!(made.status.success(), "{made:?}");
    let key = stdout(&made).strip_suffix('\n').expect("one line");
    assert!(verbatim::store::keys::has_key_form(key), "{key}");

    let list = verbatim(&database, &["keys", "list"]);
    let table = stdout(&list);
    assert!(!table.contains(key), "a key is shown once");
    let row = table.lines().nth(1).expect("a row");
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[1..4], ["n8n", "read,export", "A"], "{row}");
    assert!(row.ends_with(" never      -        -"), "{row}");

    let revoked = verbatim(&database, &["keys", "revoke", cells[0]]);
    assert!(revoked.status.success(), "{revoked:?}");
    assert!(revoked.stdout.is_empty());
    let list = verbatim(&database, &["keys", "list"]);
    assert!(!stdout(&list).lines().nth(1).expect("a row").ends_with("-        -"));
}

#[tokio::test]
async fn duplicate_scopes_and_agents_are_stored_once() {
    let database = TestDatabase::create().await;
    let twice = ["--scope", "read,export", "--scope", "read", "--agent", "B", "A", "--agent", "B"];
    let made = verbatim(&database, &[&["keys", "create", "--name", "n8n"], &twice[..]].concat());
    assert!(made.status.success(), "{made:?}");
    let list = verbatim(&database, &["keys", "list"]);
    let row = stdout(&list).lines().nth(1).expect("a row");
    let cells: Vec<_> = row.split_whitespace().collect();
    assert_eq!(cells[1..4], ["n8n", "read,export", "A,B"], "{row}");
}

#[tokio::test]
async fn unknown_key_cannot_be_revoked() {
    let database = TestDatabase::create().await;
    let id = uuid::Uuid::nil().to_string();
    let output = verbatim(&database, &["keys", "revoke", &id]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no key"), "{output:?}");
}

#[tokio::test]
async fn key_requires_a_known_scope() {
    let database = TestDatabase::create().await;
    for args in [
        &["keys", "create", "--name", "x"] as &[_],
        &["keys", "create", "--name", "x", "--scope", "everything"],
        &["keys", "create", "--name", "x", "--scope", "read", "--expires", "1000000y"],
    ] {
        let output = verbatim(&database, args);
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
}
