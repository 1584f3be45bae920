//! The real binary as a process.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bodies::SECRET;
use super::load::Connection;

/// A key with every scope.
const KEY: &str = "the-benchmark-reads-with-this-key";
/// Longest time for a start, including a new cluster.
const START_MAX: Duration = Duration::from_mins(2);
/// Longest time for the drain after the last answer.
const DRAIN_MAX: Duration = Duration::from_mins(10);
/// Pause between two checks. A check costs the service almost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running service. It is stopped when this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    process: Child,
    log: PathBuf,
}

impl Service {
    /// Starts it with a data folder below `folder`, and waits until it is ready.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let address = free_address()?;
        let log = folder.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("VERBATIM_") || name == "DATABASE_URL" {
                command.env_remove(name);
            }
        }
        let process = command
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(folder.join("data"))
            .env("VERBATIM_WEBHOOK_SECRET", SECRET)
            .env("VERBATIM_API_KEY", KEY)
            .stdout(File::create(folder.join("banner"))?)
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut service = Self { address, process, log };
        let deadline = Instant::now() + START_MAX;
        while service.get("/readyz").is_err() {
            let ended = service.process.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let log = std::fs::read_to_string(&service.log)?;
                bail!("the service does not start:\n{log}");
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(service)
    }

    /// Waits until the inbox is empty and the API counts `messages`.
    pub(crate) fn wait_until_queryable(&self, messages: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + DRAIN_MAX;
        loop {
            let left = self.get("/readyz")?["inbox"]["deliveries"].as_u64();
            let left = left.context("/readyz does not report the inbox")?;
            // To count over all agents costs more than to read the inbox, so it is second.
            if left == 0 && self.counted()? == messages as u64 {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{left} deliveries are in the inbox, and the API counts {} of {messages} messages",
                self.counted()?
            );
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Stops it, and waits until it has ended.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        self.terminate();
        let status = self.process.wait()?;
        ensure!(status.success(), "the service ended with {status}");
        Ok(())
    }

    /// Returns the number of messages over all agents.
    fn counted(&self) -> anyhow::Result<u64> {
        let page = self.get("/v1/agents?limit=500")?;
        ensure!(page["has_more"] == Value::Bool(false), "there are more agents than on one page");
        let agents = page["data"].as_array().context("/v1/agents lists nothing")?;
        Ok(agents.iter().filter_map(|agent| agent["message_count"].as_u64()).sum())
    }

    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let mut connection = Connection::open(self.address).await?;
            let status = connection.exchange(request.as_bytes()).await?;
            ensure!(status == 200, "{path} was answered with {status}");
            Ok(serde_json::from_slice(connection.body())?)
        })
    }

    /// Returns its process ID.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM, so that it stops its private server, too.
    fn terminate(&self) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // After `stop` the process has ended, and its ID may belong to another one.
        if matches!(self.process.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.process.wait();
        }
    }
}

/// Returns a free address. Another process is unlikely to take its port in the next moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
