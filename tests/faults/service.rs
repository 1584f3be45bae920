//! The real binary, as a process that can be killed, stopped and started again on its data.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::delivery::{SECRET, UNSIGNED_HEADER, UNSIGNED_SOURCE};
use super::http::{Answer, Connection};
use super::postgres::free_port;
use super::process;

/// A key with every scope.
const KEY: &str = "the-suite-reads-with-this-key";
/// How long it may take until it answers; it may have a cluster to make first.
const START_MAX: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// How it is started.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// `None`: its private one.
    pub(crate) database_url: Option<String>,
    /// Where its data is, if not below the scenario's folder.
    pub(crate) data: Option<PathBuf>,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
    /// Further environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The suite holds the listening socket, and hands it over as systemd would.
    pub(crate) socket_activation: bool,
}

/// A service that runs, or the place of one that does not.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// Its data folder.
    pub(crate) data: PathBuf,
    /// Its log: of all starts, one after the other.
    pub(crate) log: PathBuf,
    config: PathBuf,
    spec: Spec,
    socket: Option<TcpListener>,
    process: Mutex<Option<Child>>,
    peak_memory: Mutex<u64>,
    away: Mutex<Away>,
}

/// When it did not run, of the suite's doing: what is sent meanwhile may come to nothing.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    before: Vec<(Instant, Instant)>,
}

impl Service {
    /// Prepares it below `folder`; it is not yet started.
    pub(crate) fn new(folder: &Path, spec: Spec) -> anyhow::Result<Self> {
        let (mut address, mut socket) = (SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), None);
        if spec.socket_activation {
            let listener = TcpListener::bind(address)?;
            address = listener.local_addr()?;
            socket = Some(listener);
        } else {
            address.set_port(free_port()?);
        }
        let config = folder.join("verbatim.toml");
        let text = format!(
            "webhook_secrets = [{SECRET:?}]\napi_key = {KEY:?}\n\n\
             [[sources]]\nname = {UNSIGNED_SOURCE:?}\nheaders = [{UNSIGNED_HEADER:?}]\n"
        );
        std::fs::write(&config, text)?;
        Ok(Self {
            address,
            data: spec.data.clone().unwrap_or_else(|| folder.join("data")),
            log: folder.join("service.log"),
            config,
            spec,
            socket,
            process: Mutex::new(None),
            peak_memory: Mutex::new(0),
            away: Mutex::default(),
        })
    }

    /// Starts it, and does not wait.
    pub(crate) fn spawn(&self) -> anyhow::Result<()> {
        let mut command = self.command()?;
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            // Whatever this machine is set to must not matter.
            if name.starts_with("VERBATIM_") || name == "DATABASE_URL" || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.args(["--listen", &self.address.to_string(), "--data-dir"]).arg(&self.data);
        command.arg("--config").arg(&self.config).args(&self.spec.arguments);
        if let Some(url) = &self.spec.database_url {
            command.env("DATABASE_URL", url);
        }
        command.envs(self.spec.environment.iter().map(|(name, value)| (name, value)));
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = command.stdout(Stdio::null()).stderr(log).spawn()?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(())
    }

    fn command(&self) -> anyhow::Result<Command> {
        let binary = env!("CARGO_BIN_EXE_verbatim");
        let Some(socket) = &self.socket else {
            let mut command = Command::new(binary);
            command.arg("serve").stdin(Stdio::null());
            return Ok(command);
        };
        // systemd's protocol: the socket is descriptor 3, and LISTEN_PID is the process that it
        // is meant for. A shell moves it there and becomes the service.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\""])
            .args([binary, "serve"])
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone()?)));
        Ok(command)
    }

    /// Starts it, and waits until it answers.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        self.spawn()?;
        self.answering().await
    }

    /// Waits until it answers.
    pub(crate) async fn answering(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_MAX;
        while self.get("/healthz").await.is_err() {
            ensure!(self.is_running(), "the service does not start:\n{}", self.log_tail());
            ensure!(Instant::now() < deadline, "the service does not answer");
            tokio::time::sleep(LOOK).await;
        }
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = away.since.take() {
            away.before.push((since, Instant::now()));
        }
        Ok(())
    }

    /// From when to when it was away.
    pub(crate) fn away(&self) -> Vec<(Instant, Instant)> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let now = away.since.map(|since| (since, Instant::now()));
        away.before.iter().copied().chain(now).collect()
    }

    fn goes(&self) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.since.get_or_insert_with(Instant::now);
    }

    /// It has not ended.
    pub(crate) fn is_running(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Its process.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(process.as_ref().context("the service does not run")?.id())
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        self.note_memory();
        self.goes();
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub(crate) async fn stop(&self) -> anyhow::Result<ExitStatus> {
        self.note_memory();
        self.goes();
        process::signal(self.pid()?, Signal::SIGTERM)?;
        let deadline = Instant::now() + process::END_MAX;
        loop {
            let ended = {
                let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
                process.as_mut().context("the service does not run")?.try_wait()?
            };
            if let Some(status) = ended {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the service does not end:\n{}", self.log_tail());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The most memory that it has held, in bytes, over all starts.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.note_memory();
        *self.peak_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_memory(&self) {
        let now = self.pid().ok().and_then(process::peak_memory).unwrap_or(0);
        let mut peak = self.peak_memory.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = now.max(*peak);
    }

    /// Asks the API.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {KEY}\r\n\r\n"
        );
        let asked = async {
            let mut connection = Connection::open(self.address).await?;
            connection.exchange(request.as_bytes()).await
        };
        asked.await.map_err(|miss| anyhow::anyhow!("{path}: {miss:?}"))
    }

    /// The same, as JSON.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.get(path).await?;
        if answer.status != 200 && path != "/readyz" {
            bail!("{path} was answered with {}", answer.status);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// The last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = process.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            // In good order, so that a private server goes with it.
            let _ = process::signal(child.id(), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}
