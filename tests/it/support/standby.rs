//! A PostgreSQL with a streaming standby, created with PostgreSQL's tools, which a test can stop,
//! promote and disconnect.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _};
use tempfile::TempDir;

/// Role of the service on the standby. It may only read.
const READER: &str = "replica_reader";
/// Replication slot of the standby.
pub(crate) const SLOT: &str = "standby";

/// A server, running or stopped.
pub(crate) struct Server {
    bin: PathBuf,
    account: Option<User>,
    /// Folder of socket, log and cluster.
    folder: PathBuf,
}

/// A primary and its standby. Both end when this is dropped.
pub(crate) struct Pair {
    pub(crate) primary: Server,
    pub(crate) standby: Server,
    _folder: TempDir,
}

impl Pair {
    /// Starts both. The standby streams through a slot.
    pub(crate) async fn start() -> Self {
        let bin = Command::new("scripts/postgres-bindir").output().unwrap();
        let bin = PathBuf::from(String::from_utf8(bin.stdout).unwrap().trim());
        let account = Uid::effective().is_root().then(|| {
            let found =
                ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).unwrap());
            found.expect("root needs an account to run PostgreSQL as")
        });
        // In /tmp whatever TMPDIR is: the path of a socket must be short.
        let folder = tempfile::Builder::new().prefix("verbatim-pair.").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let server = |name: &str| Server::place(&bin, account.as_ref(), &folder.path().join(name));
        let (primary, standby) = (server("primary"), server("standby"));
        primary.initialize();
        primary.start_server();
        primary.run(&format!("CREATE ROLE {READER} LOGIN IN ROLE pg_read_all_data")).await;
        standby.copy(&primary);
        standby.start_server();
        Self { primary, standby, _folder: folder }
    }

    /// Waits until the standby has replayed everything that the primary has now.
    pub(crate) async fn replayed(&self) {
        let mut primary = self.primary.connect("postgres").await;
        let wanted: String = sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text")
            .fetch_one(&mut primary)
            .await
            .unwrap();
        let mut standby = self.standby.connect("postgres").await;
        let is_there = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn";
        loop {
            let asked = sqlx::query_scalar(is_there).bind(&wanted).fetch_one(&mut standby).await;
            if asked.unwrap() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Server {
    fn place(bin: &Path, account: Option<&User>, folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        if let Some(account) = account {
            chown(folder, Some(account.uid.as_raw()), Some(account.gid.as_raw())).unwrap();
        }
        let (bin, account) = (bin.to_owned(), account.cloned());
        Self { bin, account, folder: folder.to_owned() }
    }

    /// Returns one of PostgreSQL's programs, run by the account.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        if let Some(account) = &self.account {
            command.gid(account.gid.as_raw()).uid(account.uid.as_raw());
        }
        command
    }

    /// Runs one of PostgreSQL's programs to its end.
    fn program(&self, name: &str, arguments: &[&str]) {
        // Files, since a started server would keep a pipe open.
        let output = std::fs::File::create(self.folder.with_extension("output")).unwrap();
        let status = self
            .command(name)
            .args(arguments)
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .status()
            .unwrap();
        let said = std::fs::read_to_string(self.folder.with_extension("output"));
        assert!(status.success(), "{name} {arguments:?}: {said:?} {:?}", self.log());
    }

    fn cluster(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Returns the server's log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn initialize(&self) {
        let cluster = self.cluster();
        self.program(
            "initdb",
            &[
                "--pgdata",
                &cluster,
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--lc-collate=C",
                "--no-sync",
            ],
        );
    }

    /// Makes this a standby of another server.
    fn copy(&self, primary: &Self) {
        let (cluster, host) = (self.cluster(), primary.folder.display().to_string());
        self.program(
            "pg_basebackup",
            &[
                "--pgdata",
                &cluster,
                "--host",
                &host,
                "--username=postgres",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
                "--create-slot",
                "--slot",
                SLOT,
                "--no-sync",
            ],
        );
    }

    /// Starts it, and waits until it answers.
    pub(crate) fn start_server(&self) {
        let (cluster, log) = (self.cluster(), self.folder.join("log").display().to_string());
        // A checkpoint removes segments that no slot needs. Queries that block the replay are
        // cancelled at once.
        let options = format!(
            "-k {} -c listen_addresses= -c fsync=off -c wal_keep_size=0 -c min_wal_size=32MB \
             -c max_wal_size=32MB -c wal_recycle=off -c max_standby_streaming_delay=0 \
             -c wal_retrieve_retry_interval=200ms -c autovacuum=off",
            self.folder.display()
        );
        self.program(
            "pg_ctl",
            &["--pgdata", &cluster, "--log", &log, "--wait", "--options", &options, "start"],
        );
    }

    /// Stops it immediately, as a crash does.
    pub(crate) fn stop_server(&self) {
        self.program(
            "pg_ctl",
            &["--pgdata", &self.cluster(), "--mode=immediate", "--wait", "stop"],
        );
    }

    /// Promotes it to a primary.
    pub(crate) fn promote(&self) {
        self.program("pg_ctl", &["--pgdata", &self.cluster(), "--wait", "promote"]);
    }

    fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@localhost/{database}?host={}", self.folder.display())
    }

    /// Returns the URL of a database, as superuser.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// Returns the URL of a database, as a role that may only read.
    pub(crate) fn reader_url(&self, database: &str) -> String {
        self.url_of(READER, database)
    }

    /// Connects as superuser.
    pub(crate) async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url(database).parse().unwrap();
        PgConnection::connect_with(&options).await.unwrap()
    }

    /// Runs statements as superuser.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = self.connect("postgres").await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stop = ["--pgdata", &self.cluster(), "--mode=immediate", "stop"];
        // It may have stopped already.
        let _ = self.command("pg_ctl").args(stop).current_dir("/").output();
    }
}
