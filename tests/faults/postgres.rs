//! A PostgreSQL of the suite that can be stopped, killed, paused and filled up. All of its
//! durability settings are on.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use super::process;

/// Longest time for a start: after a kill it replays its log.
const START_MAX: Duration = Duration::from_mins(1);
/// Longest time for a connection of the suite.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Longest time for a statement with retries: other faults may block it.
const RETRY_MAX: Duration = Duration::from_mins(2);

/// Folder of the server's programs, their account, and a cluster to copy.
#[derive(Debug)]
pub(crate) struct Template {
    bin: PathBuf,
    cluster: PathBuf,
    account: Option<User>,
}

impl Template {
    /// Creates a cluster below `folder`, once for all scenarios.
    pub(crate) fn make(folder: &Path) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/postgres-bindir");
        let found = Command::new(script).output().context("scripts/postgres-bindir")?;
        ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let bin = PathBuf::from(String::from_utf8(found.stdout)?.trim());
        let mut account = None;
        if Uid::effective().is_root() {
            for name in ["postgres", "nobody"] {
                account = account.or(User::from_name(name)?);
            }
            ensure!(account.is_some(), "root needs an account to run PostgreSQL as: postgres");
        }
        let cluster = folder.join("template");
        let template = Self { bin, cluster, account };
        template.make_folder(&template.cluster)?;
        let made = template
            .command("initdb")
            .arg("--pgdata")
            .arg(&template.cluster)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"])
            .args(["--locale=C.UTF-8", "--lc-collate=C"])
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        Ok(template)
    }

    /// Creates a folder that belongs to the account.
    pub(crate) fn make_folder(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        if let Some(account) = &self.account {
            std::os::unix::fs::chown(
                folder,
                Some(account.uid.as_raw()),
                Some(account.gid.as_raw()),
            )?;
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some(account) = &self.account {
            command.gid(account.gid.as_raw()).uid(account.uid.as_raw());
        }
        command
    }
}

/// A server, running or stopped.
#[derive(Debug)]
pub(crate) struct Postgres {
    folder: PathBuf,
    cluster: PathBuf,
    log: PathBuf,
    port: u16,
    settings: Vec<String>,
    start: Mutex<CommandParts>,
    process: Mutex<Option<Child>>,
}

/// Parts of the template that a start needs.
#[derive(Debug)]
struct CommandParts {
    bin: PathBuf,
    account: Option<User>,
}

impl Postgres {
    /// Copies the template's cluster to `cluster`, starts a server on it, and creates the service's
    /// database. `settings` are `name=value`.
    pub(crate) async fn create(
        template: &Template,
        folder: &Path,
        cluster: &Path,
        settings: &[&str],
    ) -> anyhow::Result<Self> {
        template.make_folder(folder)?;
        let copied = Command::new("cp")
            .args(["-a", "-T"])
            .args([&template.cluster, cluster])
            .status()
            .context("cp")?;
        ensure!(copied.success(), "the cluster could not be copied");
        let parts = CommandParts { bin: template.bin.clone(), account: template.account.clone() };
        let postgres = Self {
            folder: folder.to_owned(),
            cluster: cluster.to_owned(),
            log: folder.join("log"),
            port: free_port()?,
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            start: Mutex::new(parts),
            process: Mutex::new(None),
        };
        postgres.start().await?;
        let mut admin = postgres.admin("postgres").await?;
        run(&mut admin, "CREATE ROLE verbatim LOGIN").await?;
        run(&mut admin, "CREATE DATABASE verbatim OWNER verbatim").await?;
        Ok(postgres)
    }

    /// Creates a streaming standby in `folder`, and starts it.
    pub(crate) async fn make_standby(
        &self,
        template: &Template,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        template.make_folder(folder)?;
        let cluster = folder.join("cluster");
        let copied = template
            .command("pg_basebackup")
            .args(["--username=postgres", "--checkpoint=fast", "--wal-method=stream", "--no-sync"])
            .args(["--write-recovery-conf", "--create-slot", "--slot=standby"])
            .args(["--port", &self.port.to_string(), "--host"])
            .arg(&self.folder)
            .arg("--pgdata")
            .arg(&cluster)
            .output()?;
        let stderr = String::from_utf8_lossy(&copied.stderr);
        ensure!(copied.status.success(), "pg_basebackup: {stderr}");
        let parts = CommandParts { bin: template.bin.clone(), account: template.account.clone() };
        let standby = Self {
            folder: folder.to_owned(),
            cluster,
            log: folder.join("log"),
            port: free_port()?,
            settings: Vec::new(),
            start: Mutex::new(parts),
            process: Mutex::new(None),
        };
        standby.start().await?;
        Ok(standby)
    }

    /// Returns the port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the cluster.
    pub(crate) fn cluster(&self) -> &Path {
        &self.cluster
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> anyhow::Result<String> {
        Ok(String::from_utf8_lossy(&std::fs::read(&self.log)?).into_owned())
    }

    /// Returns the URL for the service. `port` is the server's or a proxy's.
    pub(crate) fn url(port: u16) -> String {
        format!("postgres://verbatim@127.0.0.1:{port}/verbatim")
    }

    /// Starts the server, and waits until it answers. After a kill, processes of the old server can
    /// block a start for a moment, so it is retried.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_MAX;
        loop {
            if !self.is_running() {
                self.spawn()?;
            }
            // A server in recovery answers, too. Callers that write must wait longer.
            if self.admin("postgres").await.is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let tail = log.len().saturating_sub(2_000);
                bail!("PostgreSQL does not start:\n{}", log.get(tail..).unwrap_or(&log));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn spawn(&self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let parts = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        let template = Template {
            bin: parts.bin.clone(),
            cluster: PathBuf::new(),
            account: parts.account.clone(),
        };
        let mut command = template.command("postgres");
        command.arg("-D").arg(&self.cluster).arg("-k").arg(&self.folder);
        command.args(["-p", &self.port.to_string(), "-h", "127.0.0.1"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    /// Returns true if the postmaster runs.
    pub(crate) fn is_running(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    fn postmaster(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Child::id)
    }

    /// Stops the server in the normal way: it ends sessions and rolls back open transactions.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        self.end(Signal::SIGINT).await
    }

    /// Kills the postmaster (`kill -9`). The other processes notice and end.
    pub(crate) async fn kill(&self) -> anyhow::Result<()> {
        self.end(Signal::SIGKILL).await
    }

    async fn end(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(postmaster) = self.postmaster().filter(|_| self.is_running()) else {
            return Ok(());
        };
        process::signal(postmaster, signal)?;
        let deadline = Instant::now() + START_MAX;
        while self.is_running() {
            ensure!(Instant::now() < deadline, "PostgreSQL does not stop");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Sends a signal to every process, to stop or continue them.
    pub(crate) fn signal_all(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(postmaster) = self.postmaster() else { return Ok(()) };
        let mut all = process::children(postmaster)?;
        // The postmaster first, so that it starts no more processes.
        all.insert(0, postmaster);
        for pid in all {
            // A process that has ended meanwhile needs no signal.
            let _ = process::signal(pid, signal);
        }
        Ok(())
    }

    /// Connects as superuser over the socket, without a proxy.
    pub(crate) async fn admin(&self, database: &str) -> anyhow::Result<PgConnection> {
        self.connect("postgres", database).await
    }

    /// Connects as the service does.
    pub(crate) async fn connect(&self, user: &str, database: &str) -> anyhow::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.folder.to_string_lossy())
            .port(self.port)
            .username(user)
            .database(database)
            .application_name("faults")
            .disable_statement_logging();
        connect(&options).await
    }

    /// Runs a statement as superuser in the service's database.
    pub(crate) async fn sql(&self, statement: &str) -> anyhow::Result<()> {
        let mut admin = self.admin("verbatim").await?;
        tokio::time::timeout(CONNECT_MAX, run(&mut admin, statement))
            .await
            .context("no answer to a statement of the suite")?
    }

    /// Runs a statement like `sql`, and repeats it until it succeeds: other faults may be on.
    pub(crate) async fn sql_with_retries(&self, statement: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + RETRY_MAX;
        while let Err(error) = self.sql(statement).await {
            ensure!(Instant::now() < deadline, "{statement}: {error:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Returns the number that a statement returns.
    pub(crate) async fn number(&self, statement: &'static str) -> anyhow::Result<i64> {
        let mut admin = self.admin("verbatim").await?;
        Ok(sqlx::query_scalar(statement).fetch_one(&mut admin).await?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A paused server cannot be stopped.
        let _ = self.signal_all(Signal::SIGCONT);
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = process.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            // The data is not needed any more.
            let _ = process::signal(child.id(), Signal::SIGQUIT);
            let _ = child.wait();
        }
    }
}

/// Connects within [`CONNECT_MAX`].
pub(crate) async fn connect(options: &PgConnectOptions) -> anyhow::Result<PgConnection> {
    Ok(tokio::time::timeout(CONNECT_MAX, options.connect())
        .await
        .context("PostgreSQL does not answer")??)
}

/// Runs a statement of the suite.
pub(crate) async fn run(connection: &mut PgConnection, statement: &str) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Returns a free port. Another process is unlikely to take it in the next moment.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
