//! One process of a server: started, waited for, stopped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::log::Log;
use super::pidfile::{self, FAST_STOP_LIMIT, IMMEDIATE_STOP_LIMIT};
use super::priority;

/// How often we look whether a server that starts is ready.
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// A server that runs. Dropped (only where the runtime is torn down around it, or its work has
/// failed), it is asked to stop.
pub(super) struct Server {
    child: Child,
    log: Log,
}

impl Server {
    /// Runs `command`, and keeps what it says in the file `log`.
    pub(super) fn spawn(command: std::process::Command, log: PathBuf) -> anyhow::Result<Self> {
        let program = PathBuf::from(command.get_program());
        let mut command = tokio::process::Command::from(command);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        if let Some(process) = child.id() {
            priority::lower(process.cast_signed(), priority::SERVER);
        }
        let stderr = child.stderr.take().context("the server has no standard error")?;
        Ok(Self { child, log: Log::keep(log, stderr) })
    }

    /// Its process, unless it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end, which nobody asked for, and returns what it said last.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => {
                anyhow::anyhow!("it ended with {status}: {}", self.log.last_lines().await)
            }
            Err(error) => anyhow::Error::new(error).context("cannot wait for it"),
        }
    }

    /// Waits until it takes connections to `cluster`. One that has ended is an error.
    pub(super) async fn ready(&mut self, cluster: &Path) -> anyhow::Result<()> {
        let pid = self.pid().context("it ended at once")?;
        let ready = async {
            while !pidfile::says_ready(cluster, pid) {
                sleep(READY_INTERVAL).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            error = self.ended() => Err(error),
        }
    }

    /// A fast shutdown; one that takes too long becomes an immediate one, and then a kill. Neither
    /// loses a commit: the next start replays the log.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for (signal, limit) in
            [(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)]
        {
            self.signal(signal);
            if timeout(limit, self.child.wait()).await.is_ok() {
                tracing::info!("the private PostgreSQL has stopped");
                return Ok(());
            }
            tracing::warn!(%signal, "the private PostgreSQL does not stop; insisting");
        }
        self.child.kill().await.context("cannot kill PostgreSQL")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It may have ended by itself this very moment.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that has ended and was waited for has no id any more.
        self.signal(Signal::SIGINT);
    }
}
