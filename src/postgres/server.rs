//! Process of a server: start, readiness, stop.

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

/// Interval between two checks whether a starting server is ready.
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// Running server. On drop (when the runtime is torn down, or after a failure) it is signalled to
/// stop.
pub(super) struct Server {
    child: Child,
    log: Log,
}

impl Server {
    /// Runs `command`, and writes its output to the file `log`.
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
        Ok(Self { child, log: Log::start(log, stderr) })
    }

    /// Returns its process id, unless it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for an unexpected end, and returns the last output as an error.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => {
                anyhow::anyhow!("it ended with {status}: {}", self.log.last_lines().await)
            }
            Err(error) => anyhow::Error::new(error).context("cannot wait for it"),
        }
    }

    /// Waits until it accepts connections to `cluster`. Fails if it ends.
    pub(super) async fn ready(&mut self, cluster: &Path) -> anyhow::Result<()> {
        let pid = self.pid().context("it ended at once")?;
        let ready = async {
            while !pidfile::is_ready(cluster, pid) {
                sleep(READY_INTERVAL).await;
            }
        };
        tokio::select! {
            () = ready => Ok(()),
            error = self.ended() => Err(error),
        }
    }

    /// Stops the server by a fast shutdown. After a timeout an immediate one follows, and then a
    /// kill. No commit is lost: the next start replays the log.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        for (signal, limit) in
            [(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)]
        {
            self.signal(signal);
            if timeout(limit, self.child.wait()).await.is_ok() {
                tracing::info!("private PostgreSQL stopped");
                return Ok(());
            }
            tracing::warn!(%signal, "private PostgreSQL does not stop; sending the next signal");
        }
        self.child.kill().await.context("cannot kill PostgreSQL")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It may just have ended.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // No effect on a server that has ended: it has no id any more.
        self.signal(Signal::SIGINT);
    }
}
