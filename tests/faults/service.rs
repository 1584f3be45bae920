//! The real binary in a process that can be killed, stopped and started again on its data.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
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
/// Longest time until the service answers: it may have to create a cluster first.
const START_MAX: Duration = Duration::from_mins(2);
/// Pause between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Configuration of the service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    /// `None`: the private one.
    pub(crate) database_url: Option<String>,
    /// Data folder, if it is not below the scenario's folder.
    pub(crate) data: Option<PathBuf>,
    /// Further arguments.
    pub(crate) arguments: Vec<String>,
    /// Further environment.
    pub(crate) environment: Vec<(String, String)>,
    /// The suite holds the listening socket, and passes it on as systemd does.
    pub(crate) socket_activation: bool,
}

/// A service, running or stopped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// Data folder.
    pub(crate) data: PathBuf,
    /// Log of all starts, one after the other.
    pub(crate) log: PathBuf,
    config: PathBuf,
    spec: Spec,
    socket: Option<TcpListener>,
    process: Mutex<Option<Child>>,
    peak_memory: Mutex<u64>,
    away: Mutex<Away>,
    is_retired: AtomicBool,
}

/// Times at which the suite had stopped or killed it. Attempts of these times may fail.
#[derive(Debug, Default)]
struct Away {
    since: Option<Instant>,
    before: Vec<(Instant, Instant)>,
}

impl Service {
    /// Prepares it below `folder`, without a start.
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
            is_retired: AtomicBool::new(false),
        })
    }

    /// Starts it without waiting.
    pub(crate) fn spawn(&self) -> anyhow::Result<()> {
        let mut command = self.command()?;
        remove_settings(&mut command);
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
        // systemd's protocol: the socket is descriptor 3, and LISTEN_PID is the process that it is
        // meant for. A shell moves it there and then executes the service.
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
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.mark_back();
        Ok(())
    }

    fn mark_back(&self) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = away.since.take() {
            away.before.push((since, Instant::now()));
        }
    }

    /// Returns begin and end of each time at which it was away.
    pub(crate) fn away(&self) -> Vec<(Instant, Instant)> {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        let now = away.since.map(|since| (since, Instant::now()));
        away.before.iter().copied().chain(now).collect()
    }

    fn mark_away(&self) {
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.since.get_or_insert_with(Instant::now);
    }

    /// Returns true if it has not ended.
    pub(crate) fn is_running(&self) -> bool {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Returns its process ID.
    pub(crate) fn pid(&self) -> anyhow::Result<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(process.as_ref().context("the service does not run")?.id())
    }

    /// Kills it (`kill -9`).
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        self.record_memory();
        self.mark_away();
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Kills it for good. Its absence excuses no failed attempt from now on.
    pub(crate) fn retire(&self) -> anyhow::Result<()> {
        self.kill()?;
        self.is_retired.store(true, Ordering::Relaxed);
        self.mark_back();
        Ok(())
    }

    /// Returns true if it was killed for good.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Sends SIGTERM, and waits until it has ended.
    pub(crate) async fn stop(&self) -> anyhow::Result<ExitStatus> {
        self.record_memory();
        self.mark_away();
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
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns the peak memory in bytes, over all starts.
    pub(crate) fn peak_memory(&self) -> u64 {
        self.record_memory();
        *self.peak_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record_memory(&self) {
        let now = self.pid().ok().and_then(process::peak_memory).unwrap_or(0);
        let mut peak = self.peak_memory.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = now.max(*peak);
    }

    /// Sends a GET to the API.
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

    /// Returns the answer to a GET as JSON.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.get(path).await?;
        if answer.status != 200 && path != "/readyz" {
            bail!("{path} was answered with {}", answer.status);
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// Returns the last lines of its log.
    pub(crate) fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

/// Returns `verbatim drain` for a data folder.
pub(crate) fn drain(data: &Path, database_url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    remove_settings(&mut command);
    command.arg("drain").arg("--data-dir").arg(data).env("DATABASE_URL", database_url);
    command
}

/// Removes the settings of this machine, which must not change the result.
fn remove_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("VERBATIM_") || name == "DATABASE_URL" || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = process.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            // By SIGTERM, so that it stops its private server.
            let _ = process::signal(child.id(), Signal::SIGTERM);
            let _ = child.wait();
        }
    }
}
