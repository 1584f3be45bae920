//! `verbatim drain`: empties the inbox of a data folder without a service.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::command::{figure, stderr, stdout};
use crate::support::database::TestDatabase;
use crate::support::process::{KEY, Service, lines, until, verbatim};

/// Database URL without a listener: connections are refused at once.
const UNREACHABLE: &str = "postgres://verbatim@127.0.0.1:1/none";

/// Data folder whose service was killed while Postgres was away.
struct Orphan {
    folder: TempDir,
    /// Number of deliveries in its inbox.
    deliveries: usize,
}

impl Orphan {
    fn make() -> Self {
        Self::make_of(TempDir::new().unwrap())
    }

    fn make_of(folder: TempDir) -> Self {
        let (ledger, data) = (folder.path().join("ledger.jsonl"), folder.path().join("data"));
        let mut service = serve(&data);
        let sent = verbatim()
            .args(["simulate", "--sessions", "20", "--seed", "7", "--ledger"])
            .arg(&ledger)
            .args(["--url", &format!("http://{}/webhook", service.address)])
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", stderr(&sent));
        service.kill();
        let deliveries = lines(&ledger);
        assert!(deliveries > 50, "{deliveries} deliveries");
        Self { folder, deliveries }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn drain(&self, url: &str, options: &[&str]) -> Output {
        drain(&self.data(), url).args(options).output().unwrap()
    }

    /// Asserts that the database has every delivery once.
    async fn assert_stored(&self, database: &TestDatabase) {
        let (rows, bodies): (i64, i64) =
            sqlx::query_as("SELECT count(*), count(DISTINCT body) FROM deliveries")
                .fetch_one(database.pool())
                .await
                .unwrap();
        let expected = i64::try_from(self.deliveries).unwrap();
        assert_eq!((rows, bodies), (expected, expected));
    }
}

/// Starts a service whose Postgres is away.
fn serve(data: &Path) -> Service {
    let mut command = verbatim();
    command.args(["serve", "--listen", "127.0.0.1:0", "--database-url", UNREACHABLE]);
    command.arg("--data-dir").arg(data).stderr(Stdio::null());
    Service::run_without_database(command)
}

fn drain(data: &Path, url: &str) -> Command {
    let mut command = verbatim();
    command.args(["drain", "--database-url", url, "--data-dir"]).arg(data);
    command
}

#[tokio::test]
async fn inbox_of_a_killed_service_is_drained_once() {
    let (orphan, database) = (Orphan::make(), TestDatabase::create().await);
    for expected in [orphan.deliveries, 0] {
        let drained = orphan.drain(&database.url(), &[]);
        assert!(drained.status.success(), "{}", stderr(&drained));
        assert_eq!(figure(&stdout(&drained), "deliveries drained"), expected);
        orphan.assert_stored(&database).await;
    }
}

#[tokio::test]
async fn damaged_inbox_is_recovered() {
    let (orphan, database) = (Orphan::make(), TestDatabase::create().await);
    // The log has everything since the start.
    std::fs::remove_file(orphan.data().join("inbox/inbox.sqlite")).unwrap();
    let drained = orphan.drain(&database.url(), &[]);
    let log = stderr(&drained);
    assert!(drained.status.success() && log.contains("recovered without loss"), "{log}");
    orphan.assert_stored(&database).await;
}

#[tokio::test]
async fn drain_gives_up_after_its_timeout_and_leaves_everything() {
    let (orphan, database) = (Orphan::make(), TestDatabase::create().await);
    let refused = orphan.drain(UNREACHABLE, &["--timeout", "100ms"]);
    let (log, left) = (stderr(&refused), orphan.deliveries);
    assert_eq!(refused.status.code(), Some(1), "{log}");
    assert!(log.contains("cannot reach the database"), "{log}");
    assert!(
        log.contains(&format!("stored nothing for 100ms: {left} deliveries are left")),
        "{log}"
    );
    assert!(orphan.drain(&database.url(), &[]).status.success());
    orphan.assert_stored(&database).await;
}

#[tokio::test]
async fn interrupted_drain_leaves_everything() {
    let (orphan, database) = (Orphan::make(), TestDatabase::create().await);
    let mut waiting = drain(&orphan.data(), UNREACHABLE).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(waiting.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("cannot reach the database") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ends");
    }
    kill(Pid::from_raw(waiting.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(waiting.wait().unwrap().code(), Some(1), "{rest}");
    let left = format!("interrupted: {} deliveries are left", orphan.deliveries);
    assert!(rest.contains(&left), "{rest}");
    assert!(orphan.drain(&database.url(), &[]).status.success());
    orphan.assert_stored(&database).await;
}

#[tokio::test]
async fn inbox_of_a_running_service_is_not_drained() {
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let service = serve(folder.path());
    let refused = drain(folder.path(), &database.url()).output().unwrap();
    let holder = format!("process {} (verbatim serve) already uses", service.process.id());
    assert!(!refused.status.success() && stderr(&refused).contains(&holder), "{refused:?}");
}

#[tokio::test]
async fn schema_is_not_migrated() {
    let (orphan, database) = (Orphan::make(), TestDatabase::empty().await);
    let refused = orphan.drain(&database.url(), &[]);
    let log = stderr(&refused);
    assert!(!refused.status.success() && log.contains("run `verbatim migrate`"), "{log}");
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn folder_without_an_inbox_is_rejected_and_unchanged() {
    let folder = TempDir::new().unwrap();
    for data in [folder.path().to_owned(), folder.path().join("missing")] {
        let refused = drain(&data, UNREACHABLE).output().unwrap();
        let log = stderr(&refused);
        assert!(!refused.status.success() && log.contains("has no inbox"), "{log}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn folder_without_a_private_database_needs_a_url() {
    let orphan = Orphan::make();
    let refused = verbatim().args(["drain", "--data-dir"]).arg(orphan.data()).output().unwrap();
    let log = stderr(&refused);
    assert!(!refused.status.success() && log.contains("set DATABASE_URL"), "{log}");
    assert!(!orphan.data().join("postgres").exists());
}

#[test]
fn private_database_runs_while_its_inbox_is_drained() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    assert!(Service::start(&data, "127.0.0.1:0").stop().success());
    let orphan = Orphan::make_of(folder);
    let drained = verbatim().args(["drain", "--data-dir"]).arg(&data).output().unwrap();
    assert!(drained.status.success(), "{}", stderr(&drained));
    assert_eq!(figure(&stdout(&drained), "deliveries drained"), orphan.deliveries);
    assert!(!data.join("postgres/cluster/postmaster.pid").exists(), "its server still runs");
    let service = Service::start(&data, "127.0.0.1:0");
    until("every delivery in Postgres", || {
        let verified = verbatim()
            .args(["verify", "--url", &format!("http://{}", service.address), "--key", KEY])
            .arg("--ledger")
            .arg(orphan.folder.path().join("ledger.jsonl"))
            .output()
            .unwrap();
        verified.status.success()
    });
}
