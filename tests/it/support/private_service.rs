//! A real service with its private `PostgreSQL`, whose programs the test chooses.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tempfile::TempDir;

use super::process::{KEY, Service, lines, until, verbatim};

/// A service with its private server.
pub(crate) struct PrivateService {
    pub(crate) service: Service,
    folder: TempDir,
}

impl PrivateService {
    /// Starts it with a `PATH` that contains server programs.
    pub(crate) fn start(folder: TempDir, path: &str) -> Self {
        // As root, the server runs as another account, which must be able to enter the folder.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        Self { service: Self::run(&folder, "127.0.0.1:0", path), folder }
    }

    fn run(folder: &TempDir, listen: &str, path: &str) -> Service {
        let mut command = verbatim();
        command.args(["serve", "--listen", listen, "--data-dir"]);
        command.arg(folder.path().join("data")).env("PATH", path);
        let log = File::options().create(true).append(true).open(folder.path().join("log"));
        command.stderr(log.unwrap());
        Service::run(command)
    }

    /// Starts it again at the same address, after it was stopped or killed.
    pub(crate) fn start_again(&mut self, path: &str) {
        let address = self.service.address.clone();
        self.service = Self::run(&self.folder, &address, path);
    }

    /// Returns a command on its data folder.
    pub(crate) fn command(&self, arguments: &[&str], path: &str) -> Command {
        let mut command = verbatim();
        command.args(arguments).arg("--data-dir").arg(self.file("data")).env("PATH", path);
        command
    }

    /// Returns the result of a query of one text, over the socket.
    pub(crate) fn query(&self, query: &'static str) -> String {
        self.with_connection(async |connection| {
            sqlx::query_scalar(query).fetch_one(connection).await.unwrap()
        })
    }

    /// Runs a statement.
    pub(crate) fn execute(&self, statement: &'static str) {
        self.with_connection(async |connection| {
            sqlx::raw_sql(statement).execute(connection).await.unwrap();
        });
    }

    fn with_connection<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> T) -> T {
        let socket = self.file("data/postgres/socket");
        let options = PgConnectOptions::new_without_pgpass()
            .host(&socket.to_string_lossy())
            .username("verbatim")
            .database("verbatim");
        let asked = async {
            let mut connection = options.connect().await.unwrap();
            work(&mut connection).await
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(asked)
    }

    /// Returns the path of a file in the test's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the content of a file in the test's folder.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Returns true if the service has logged this text.
    pub(crate) fn says(&self, what: &str) -> bool {
        self.text("log").contains(what)
    }

    /// Returns the process ID of the postmaster, as a line.
    pub(crate) fn postmaster(&self) -> Option<String> {
        let text = self.text("data/postgres/cluster/postmaster.pid");
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Sends a few conversations. Every delivery is answered 200.
    pub(crate) fn send(&self, seed: &str) -> PathBuf {
        let ledger = self.file(&format!("ledger-{seed}"));
        let sent = verbatim()
            .args(["simulate", "--sessions", "5", "--seed", seed, "--ledger"])
            .arg(&ledger)
            .args(["--url", &format!("http://{}/webhook", self.service.address)])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
        assert!(lines(&ledger) > 10);
        ledger
    }

    /// Waits until the API returns every delivery once.
    pub(crate) fn has_all(&self, ledger: &Path) {
        let url = format!("http://{}", self.service.address);
        until("every delivery in the API", || {
            let mut verify = verbatim();
            verify.args(["verify", "--url", &url, "--key", KEY, "--ledger"]).arg(ledger);
            verify.output().unwrap().status.success()
        });
    }
}
