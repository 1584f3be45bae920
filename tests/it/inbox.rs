//! The inbox under faults of its disk. The service starts and accepts deliveries whatever the file
//! holds, and loses no readable delivery.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use verbatim::clock::Clock;
use verbatim::lifecycle::Lifecycle;
use verbatim::postgres::migrate;
use verbatim::server::Server;

use crate::support::app::{App, now, settings};
use crate::support::database::TestDatabase;

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";
const PAGE: u64 = 4096;

fn chat_push(text: &str) -> String {
    json!({ "event_type": "chat.push", "agent_id": "a", "timestamp": 1_790_607_253.5,
        "data": { "session_id": "s", "role": "user", "message": text } })
    .to_string()
}

fn text(number: usize) -> String {
    // Some texts need several pages.
    let filler = if number % 20 == 3 { 9_000 } else { 50 };
    format!("message {number:05} {}", "x".repeat(filler))
}

fn numbered(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(text).collect()
}

async fn deliver(app: &App, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        assert_eq!(app.deliver(chat_push(&text(number))).await.status, 200);
    }
}

async fn texts(database: &TestDatabase) -> BTreeSet<String> {
    let texts: Vec<String> = sqlx::query_scalar("SELECT message FROM messages")
        .fetch_all(database.pool())
        .await
        .unwrap();
    let count = texts.len();
    let texts = BTreeSet::from_iter(texts);
    assert_eq!(texts.len(), count, "a message is stored twice");
    texts
}

/// Polls `probe` until it returns a value, and panics after 30 seconds.
async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(30), "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Starts a service that cannot reach Postgres, so that deliveries stay in its inbox.
async fn start_without_postgres() -> App {
    App::start_with(|settings| settings.database.url = Some(SecretString::from(UNREACHABLE))).await
}

/// Returns the database and data folder of a service that stopped with undrained deliveries.
async fn deep_inbox(count: usize) -> (TestDatabase, TempDir) {
    let app = start_without_postgres().await;
    deliver(&app, 0..count).await;
    app.stop().await
}

/// Copies the files of the inbox as a power cut at this moment would leave them.
fn power_cut(app: &App) -> TempDir {
    let data = TempDir::new().unwrap();
    std::fs::create_dir(data.path().join("inbox")).unwrap();
    for name in ["inbox.sqlite", "inbox.sqlite-wal"] {
        let name = Path::new("inbox").join(name);
        std::fs::copy(app.data.path().join(&name), data.path().join(&name)).unwrap();
    }
    data
}

fn file(data: &TempDir) -> PathBuf {
    data.path().join("inbox/inbox.sqlite")
}

fn overwrite_with_noise(path: &Path, at: u64, length: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let mut state = 7_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(length)
    .collect();
    file.write_all_at(&noise, at).unwrap();
}

/// Returns the files that were set aside, and their companion files.
fn set_aside(data: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(data.join("inbox")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

/// Waits for the report on a damaged file.
async fn report(data: &Path) -> Value {
    until("a report", async || {
        let mut files = set_aside(data).into_iter();
        let path = files.find(|path| path.to_string_lossy().ends_with(".salvage.json"))?;
        let kept = path.to_string_lossy().strip_suffix(".salvage.json").unwrap().to_owned();
        let exists = ["", "-wal"].iter().any(|part| Path::new(&format!("{kept}{part}")).exists());
        assert!(exists, "the damaged file is missing");
        Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    })
    .await
}

/// Starts a service on a damaged inbox, and returns the number of missing messages and the recovery
/// report. The service accepts deliveries at once.
async fn start_on_damage(database: TestDatabase, data: TempDir, count: usize) -> (usize, Value) {
    let app = App::start_on(database, data, |_| {}).await;
    deliver(&app, [count]).await;
    let report = report(app.data.path()).await;
    app.drained().await;
    let stored = texts(&app.database).await;
    let expected = numbered(0..=count);
    assert!(stored.is_subset(&expected), "an unknown message is stored");
    let missing = expected.len() - stored.len();
    assert_eq!(report["salvaged"].as_u64().unwrap(), (count - missing) as u64, "{report}");

    // The next start finds nothing to recover.
    let before = set_aside(app.data.path());
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    deliver(&app, [count + 1]).await;
    let log = app.log().await;
    assert_eq!(log.len(), expected.len() - missing + 1, "a delivery is logged twice");
    let (_, data) = app.stop().await;
    assert_eq!(set_aside(data.path()), before, "another file is set aside");
    (missing, report)
}

#[actix_web::test]
async fn noise_loses_only_overwritten_deliveries_and_they_are_counted() {
    let (database, data) = deep_inbox(200).await;
    overwrite_with_noise(&file(&data), 10 * PAGE, 4096);
    let (missing, report) = start_on_damage(database, data, 200).await;
    assert!(missing < 20, "{missing}");
    assert_eq!(report["lost"], missing, "{report}");
    assert_eq!(report["perhaps_more"], false, "{report}");
}

#[actix_web::test]
async fn rest_of_a_truncated_file_is_recovered() {
    let (database, data) = deep_inbox(200).await;
    let file = OpenOptions::new().write(true).open(file(&data)).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length * 2 / 3 + 5).unwrap();
    let (missing, report) = start_on_damage(database, data, 200).await;
    assert!((20..100).contains(&missing), "{missing}");
    // The file was closed, so its number of deliveries is recorded.
    let bound = |name: &str| usize::try_from(report[name].as_u64().unwrap()).unwrap();
    let (least, most) = (bound("lost"), bound("lost_at_most"));
    assert!((least..=most).contains(&missing) && most - least < 10, "{missing}: {report}");
}

#[actix_web::test]
async fn file_without_a_valid_header_is_recovered() {
    let (database, data) = deep_inbox(60).await;
    overwrite_with_noise(&file(&data), 0, 200);
    let (missing, report) = start_on_damage(database, data, 60).await;
    assert_eq!((missing, &report["lost"]), (0, &json!(0)), "{report}");
}

#[actix_web::test]
async fn log_without_its_file_is_recovered() {
    let app = start_without_postgres().await;
    deliver(&app, 0..40).await;
    let data = power_cut(&app);
    std::fs::write(file(&data), b"").unwrap();
    let (database, _) = app.stop().await;
    let (missing, report) = start_on_damage(database, data, 40).await;
    assert_eq!((missing, &report["lost"]), (0, &json!(0)), "{report}");
}

#[actix_web::test]
async fn damage_in_the_log_loses_nothing_after_it() {
    let app = start_without_postgres().await;
    deliver(&app, 0..60).await;
    let data = power_cut(&app);
    let log = data.path().join("inbox/inbox.sqlite-wal");
    let frames = (log.metadata().unwrap().len() - 32) / (24 + PAGE);
    overwrite_with_noise(&log, 32 + (frames / 3) * (24 + PAGE), 500);
    let (database, _) = app.stop().await;
    let (missing, report) = start_on_damage(database, data, 60).await;
    // SQLite alone would lose two thirds.
    assert!(missing <= 1, "{missing}");
    assert_eq!(report["lost"], missing, "{report}");
}

#[actix_web::test]
async fn power_cut_loses_no_answered_delivery() {
    let app = start_without_postgres().await;
    deliver(&app, 0..60).await;
    let data = power_cut(&app);
    let (database, _) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    assert_eq!(texts(&app.database).await, numbered(0..60));
}

#[actix_web::test]
async fn folder_in_place_of_the_file_is_set_aside() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    std::fs::create_dir_all(file(&data).join("something")).unwrap();
    let app = App::start_on(database, data, |_| {}).await;
    assert_eq!(app.get("/readyz").await.json()["inbox"]["writable"], true);
    deliver(&app, 0..5).await;
    app.drained().await;
    let report = report(app.data.path()).await;
    assert_eq!(report["salvaged"], 0);
}

#[actix_web::test]
async fn deliveries_go_to_postgres_until_the_inbox_can_be_created() {
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    std::fs::write(data.path().join("inbox"), b"a file where the folder should be").unwrap();
    let app = App::start_on(database, data, |_| {}).await;
    deliver(&app, 0..5).await;
    assert_eq!(texts(&app.database).await, numbered(0..5), "stored before the answer");
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("degraded")));

    std::fs::remove_file(app.data.path().join("inbox")).unwrap();
    until("an inbox", async || {
        let ready = app.get("/readyz").await.json();
        (ready["inbox"]["writable"] == true).then_some(())
    })
    .await;
    deliver(&app, 5..10).await;
    app.drained().await;
    assert_eq!(texts(&app.database).await, numbered(0..10));
    let (_, data) = app.stop().await;
    assert!(file(&data).exists());
}

#[actix_web::test]
async fn bytes_of_a_damaged_delivery_are_stored_beside_the_inbox() {
    let (database, data) = deep_inbox(30).await;
    let bytes = std::fs::read(file(&data)).unwrap();
    let wanted = b"message 00017";
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    overwrite_with_noise(&file(&data), at as u64, 2);
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    let mut expected = numbered(0..30);
    expected.remove(&text(17));
    assert_eq!(texts(&app.database).await, expected);
    let (database, data) = app.stop().await;
    let kept: Vec<_> = std::fs::read_dir(data.path().join("inbox"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains("inbox.sqlite.group-"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let kept = String::from_utf8_lossy(&std::fs::read(&kept[0]).unwrap()).into_owned();
    assert!(kept.contains(" 00017 xxxx"), "the rest of the delivery");

    let app = App::start_on(database, data, |settings| {
        settings.database.url = Some(SecretString::from(UNREACHABLE));
    })
    .await;
    assert_eq!(app.backlog.watch_depth().borrow().deliveries, 0, "the damaged group is read again");
}

#[actix_web::test]
async fn damage_found_at_run_time_delays_no_answer() {
    let (database, data) = deep_inbox(200).await;
    sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    // Another URL, since the start waits for the schema of the database's own URL.
    let url = format!("{}&application_name=unmigrated", database.url());
    let app = App::start_on(database, data, |settings| {
        settings.migrate = false;
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    assert_eq!(app.backlog.watch_depth().borrow().deliveries, 200);
    overwrite_with_noise(&file(&app.data), 10 * PAGE, 4096);
    migrate(&app.database.options()).await.unwrap();
    let report = report(app.data.path()).await;
    deliver(&app, 200..220).await;
    app.drained().await;
    let missing = 220 - texts(&app.database).await.len();
    assert!(missing < 20, "{missing}");
    assert_eq!(report["lost"], missing, "{report}");
}

#[actix_web::test]
async fn removed_file_is_saved_under_another_name() {
    let (database, data) = deep_inbox(40).await;
    sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    let url = format!("{}&application_name=unmigrated", database.url());
    let app = App::start_on(database, data, |settings| {
        settings.migrate = false;
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    deliver(&app, 40..50).await;
    std::fs::remove_dir_all(app.data.path().join("inbox")).unwrap();
    // The first delivery after the removal is not durable, and is rejected.
    assert_eq!(app.deliver(chat_push(&text(50))).await.status, 503);
    until("an inbox", async || {
        (app.deliver(chat_push(&text(50))).await.status == 200).then_some(())
    })
    .await;
    migrate(&app.database.options()).await.unwrap();
    let expected = numbered(0..=50);
    until("every delivery in Postgres", async || {
        (texts(&app.database).await == expected).then_some(())
    })
    .await;
    let report = report(app.data.path()).await;
    assert_eq!(report["lost"], 0, "{report}");
}

#[actix_web::test]
async fn earlier_file_restored_in_its_place_is_drained() {
    // Its groups have the same numbers as groups in memory.
    let (_, earlier) = deep_inbox(3).await;
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    let url = format!("{}&application_name=unmigrated", database.url());
    sqlx::raw_sql("DROP SCHEMA analytics_v1, public CASCADE; CREATE SCHEMA public")
        .execute(database.pool())
        .await
        .unwrap();
    let app = App::start_on(database, data, |settings| {
        settings.migrate = false;
        settings.database.url = Some(SecretString::from(url));
    })
    .await;
    deliver(&app, 3..10).await;
    let (here, elsewhere) = (file(&app.data), TempDir::new().unwrap());
    for part in ["", "-wal", "-shm"] {
        let name = format!("inbox.sqlite{part}");
        std::fs::rename(here.with_file_name(&name), elsewhere.path().join(&name)).unwrap();
    }
    std::fs::copy(file(&earlier), &here).unwrap();
    until("an inbox", async || {
        (app.deliver(chat_push(&text(10))).await.status == 200).then_some(())
    })
    .await;
    migrate(&app.database.options()).await.unwrap();
    let expected = numbered(0..=10);
    until("every delivery in Postgres", async || {
        (texts(&app.database).await == expected).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn slow_inspection_of_a_file_delays_no_answer() {
    let (database, data) = deep_inbox(40).await;
    // Opening a pipe in place of the log blocks until the other end is opened.
    let log = data.path().join("inbox/inbox.sqlite-wal");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let app = App::start_on(database, data, |_| {}).await;
    assert_eq!(app.get("/readyz").await.json()["inbox"]["writable"], false);
    deliver(&app, [40]).await;
    assert_eq!(texts(&app.database).await, numbered([40]), "stored before the answer");

    let pipe = OpenOptions::new().write(true).open(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    drop(pipe);
    let expected = numbered(0..=40);
    until("every delivery in Postgres", async || {
        (texts(&app.database).await == expected).then_some(())
    })
    .await;
    assert_eq!(app.get("/readyz").await.json()["inbox"]["writable"], true);
}

#[actix_web::test]
async fn interrupted_recovery_is_finished_at_the_next_start() {
    let (database, data) = deep_inbox(40).await;
    // A file set aside without a report, and a second one with its log still in the old place.
    let aside = data.path().join("inbox/inbox.sqlite.damaged-20261123T231500Z");
    std::fs::rename(file(&data), &aside).unwrap();
    let app = start_without_postgres().await;
    deliver(&app, 40..80).await;
    let crash = power_cut(&app);
    app.stop().await;
    std::fs::copy(file(&crash), data.path().join("inbox/inbox.sqlite.damaged-20261123T231501Z"))
        .unwrap();
    std::fs::copy(
        crash.path().join("inbox/inbox.sqlite-wal"),
        data.path().join("inbox/inbox.sqlite-wal"),
    )
    .unwrap();
    let app = App::start_on(database, data, |_| {}).await;
    let expected = numbered(0..80);
    until("every delivery in Postgres", async || {
        (texts(&app.database).await == expected).then_some(())
    })
    .await;
    let log = app.data.path().join("inbox/inbox.sqlite.damaged-20261123T231501Z-wal");
    assert!(log.exists(), "the log is not beside its file");
}

#[actix_web::test]
async fn file_of_the_first_layout_is_read() {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads/inbox-layout-1.sqlite");
    let (database, data) = (TestDatabase::create().await, TempDir::new().unwrap());
    std::fs::create_dir(data.path().join("inbox")).unwrap();
    std::fs::copy(fixture, file(&data)).unwrap();
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    assert_eq!(texts(&app.database).await, numbered(0..5));
    let log = app.log().await;
    assert_eq!(log.len(), 5);
    assert!(log.iter().all(|(outcome, _)| outcome == "stored"), "{log:?}");
}

/// Creates the fixture above. The first version with a layout creates its file once.
#[actix_web::test]
#[ignore = "makes a fixture; run it with INBOX_FIXTURE=path when there is a new layout"]
async fn make_a_fixture_of_this_layout() {
    let (_, data) = deep_inbox(5).await;
    std::fs::copy(file(&data), std::env::var("INBOX_FIXTURE").unwrap()).unwrap();
}

#[actix_web::test]
async fn file_of_a_newer_version_is_rejected_and_not_changed() {
    let (database, data) = deep_inbox(3).await;
    let options = SqliteConnectOptions::new().filename(file(&data));
    let mut connection = options.connect().await.unwrap();
    sqlx::query("PRAGMA user_version = 2").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let files = || std::fs::read_dir(data.path().join("inbox")).unwrap().count();
    let before = files();
    let settings = settings(&database.url(), &data);
    let started = Server::start(settings, Clock::fixed(now()), Lifecycle::new()).await;
    let error = format!("{:#}", started.err().unwrap());
    assert!(error.contains("start the newer version again"), "{error}");
    assert_eq!(files(), before);
}

#[actix_web::test]
async fn clock_changes_do_not_affect_the_inbox() {
    let app = start_without_postgres().await;
    for (number, days) in [0, 400, -4_000, 0, 10_000, -1].into_iter().enumerate() {
        app.clock.set(now() + TimeDelta::days(days));
        deliver(&app, [number]).await;
    }
    let oldest = app.backlog.watch_depth().borrow().oldest_at.unwrap();
    assert!(oldest < now() + TimeDelta::days(1), "the first arrival is the oldest");
    let (database, data) = app.stop().await;
    let app = App::start_on(database, data, |_| {}).await;
    app.drained().await;
    assert_eq!(texts(&app.database).await, numbered(0..6));
}

#[actix_web::test]
async fn data_folder_is_locked_by_one_process_with_any_database() {
    let app = App::start().await;
    let settings = settings(&app.database.url(), &app.data);
    let started = Server::start(settings, Clock::fixed(now()), Lifecycle::new()).await;
    let error = format!("{:#}", started.err().unwrap());
    assert!(error.contains(&format!("process {} (verbatim serve)", std::process::id())), "{error}");
    deliver(&app, 0..3).await;
    app.drained().await;
}
