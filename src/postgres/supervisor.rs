//! Keeps the private server running for as long as we run, and stops it after.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::files::Files;
use super::home::SOCKET_PORT;
use super::listen::Listen;
use super::lock::Lock;
use super::log::Log;
use super::pidfile::{self, FAST_STOP_LIMIT, IMMEDIATE_STOP_LIMIT};
use super::priority;

/// The wait before the first start after a failure; it doubles with each that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait between two starts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);
/// How often we look whether a server that starts is ready.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// What to do about files that do not start.
const HINT_AFTER_CHANGE: &str = "the server's files were replaced while it ran: install the \
     cluster's major version again; nothing else is needed, deliveries wait in the inbox";
/// How many starts may fail before a command gives up. A killed server's processes take a moment
/// to end, and keep a new one from starting meanwhile.
const COMMAND_PATIENCE: u32 = 5;

/// How the server is.
#[derive(Clone, Debug)]
enum State {
    /// It starts; after a crash that takes as long as replaying the log takes.
    Starting,
    /// It takes connections.
    Ready,
    /// It does not start; it is tried again.
    Failing { times: u32, reason: Arc<str> },
    /// It was stopped by us.
    Stopped,
}

/// Watches over one server. Dropped without [`Supervisor::stop`], it stops the server without
/// anybody waiting for that.
#[derive(Debug)]
pub(super) struct Supervisor {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    /// The process that runs; 0 while there is none.
    pid: Arc<AtomicI32>,
    task: Option<JoinHandle<()>>,
}

/// How one life of the server ended in good order.
enum End {
    /// We were told to stop it.
    Stopped,
    /// Its files were replaced, so it was stopped to be started from the new ones.
    FilesChanged,
}

/// A server that runs. Dropped (only where the runtime is torn down around it), it is asked to
/// stop.
struct Server(Child);

impl Supervisor {
    /// Starts the server, and starts it again whenever it ends.
    pub(super) fn start(cluster: Cluster, lock: Lock) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let pid = Arc::new(AtomicI32::new(0));
        let running = pid.clone();
        let task = tokio::spawn(async move {
            supervise(&cluster, &sender, &stopping, &running).await;
            sender.send_replace(State::Stopped);
            // Held until the server is gone.
            drop(lock);
        });
        Self { state, stop, pid, task: Some(task) }
    }

    /// Waits until the server takes connections.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        self.reaches(|state| matches!(state, State::Ready | State::Stopped)).await
    }

    /// The same for a command: a server that does not start is an error.
    pub(super) async fn ready_soon(&self) -> anyhow::Result<()> {
        self.reaches(|state| match state {
            State::Ready | State::Stopped => true,
            State::Failing { times, .. } => *times >= COMMAND_PATIENCE,
            State::Starting => false,
        })
        .await
    }

    async fn reaches(&self, wanted: impl FnMut(&State) -> bool) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        let reached = state.wait_for(wanted).await.context("PostgreSQL's supervisor died")?;
        match &*reached {
            State::Failing { reason, .. } => {
                bail!("the private PostgreSQL does not start: {reason}")
            }
            State::Stopped => bail!("the private PostgreSQL was stopped"),
            State::Starting | State::Ready => Ok(()),
        }
    }

    /// Tells the server to stop, whatever becomes of us.
    pub(super) fn ask_to_stop(&self) {
        let pid = self.pid.load(Ordering::Relaxed);
        if pid > 0 {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
    }

    /// Stops the server and waits until it is gone.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        match self.task.take() {
            Some(task) => task.await.context("PostgreSQL's supervisor died"),
            None => Ok(()),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn supervise(
    cluster: &Cluster,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    running: &AtomicI32,
) {
    let mut cluster = cluster.clone();
    let (mut times, mut backoff) = (0, FIRST_BACKOFF);
    let mut hint = "";
    while !stop.is_cancelled() {
        state.send_replace(State::Starting);
        let ended = run_once(&cluster, state, stop, running).await;
        if matches!(*state.borrow(), State::Ready) {
            (times, backoff, hint) = (0, FIRST_BACKOFF, "");
        }
        let (error, found) = match ended {
            Ok(End::Stopped) => return,
            Ok(End::FilesChanged) => {
                hint = HINT_AFTER_CHANGE;
                (None, cluster.with_programs_found_again().await)
            }
            // A package that is replaced may have moved the programs.
            Err(error) => (Some(error), cluster.with_programs_found_again().await),
        };
        let error = match (error, found) {
            (error, Ok(found)) => {
                cluster = found;
                error
            }
            (None, Err(lacking)) => Some(lacking),
            (Some(error), Err(lacking)) => Some(lacking.context(error)),
        };
        let Some(error) = error else { continue };
        times += 1;
        let reason = format!("{error:#}");
        tracing::error!(
            error = reason,
            next_start = %humantime::format_duration(backoff),
            log = %cluster.home.log().display(),
            hint,
            "the private PostgreSQL is down",
        );
        state.send_replace(State::Failing { times, reason: reason.into() });
        tokio::select! {
            () = sleep(backoff) => {}
            () = stop.cancelled() => return,
        }
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// One life of the server. It ends well only because we stop it.
async fn run_once(
    cluster: &Cluster,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<End> {
    let folder = cluster.home.cluster();
    tokio::select! {
        cleared = pidfile::clear_the_way(&folder) => cleared?,
        () = stop.cancelled() => return Ok(End::Stopped),
    }
    let listen = cluster.prepare_to_listen().await;
    let port = listen.map_or(SOCKET_PORT, |listen| listen.address.port());
    cluster.home.prepare_socket(&cluster.account, port)?;
    // Before the start: what is replaced from here on is noticed.
    let files = Files::observe(&cluster.binaries);
    let (mut server, log) = Server::spawn(cluster, listen)?;
    let pid = server.0.id().context("it ended at once")?;
    running.store(pid.cast_signed(), Ordering::Relaxed);
    let watching = async {
        let started = Instant::now();
        while !pidfile::says_ready(&folder, pid) {
            sleep(READY_INTERVAL).await;
        }
        tracing::info!(
            pid,
            postgresql = cluster.binaries.version(),
            took_ms = started.elapsed().as_millis(),
            "the private PostgreSQL is ready"
        );
        if let Some(listen) = listen {
            tracing::info!(address = %listen.address, "private PostgreSQL listens for readers");
        }
        state.send_replace(State::Ready);
        files_change(cluster, files).await;
    };
    let end = tokio::select! {
        () = watching => End::FilesChanged,
        () = stop.cancelled() => End::Stopped,
        status = server.0.wait() => {
            // Its number may go to another process from now on.
            running.store(0, Ordering::Relaxed);
            bail!("it ended with {}: {}", status?, log.last_lines().await)
        }
    };
    let stopped = server.stop().await;
    running.store(0, Ordering::Relaxed);
    stopped.map(|()| end)
}

/// Waits until the server's files have changed to others that can run the cluster. While there are
/// none, the server that runs is better than none: what it has loaded goes on working.
async fn files_change(cluster: &Cluster, mut files: Files) {
    loop {
        files = files.changed(&cluster.binaries).await;
        let before = cluster.binaries.version();
        match cluster.with_programs_found_again().await {
            Ok(found) => {
                let now = found.binaries.version();
                tracing::warn!(
                    before,
                    now,
                    "private PostgreSQL files changed, restarting the server"
                );
                return;
            }
            Err(error) => tracing::error!(
                error = format!("{error:#}"),
                running = before,
                hint = HINT_AFTER_CHANGE,
                "private PostgreSQL files changed, and the new ones cannot run the cluster; not \
                 restarted"
            ),
        }
    }
}

impl Server {
    fn spawn(cluster: &Cluster, listen: Option<Listen>) -> anyhow::Result<(Self, Log)> {
        let mut command = tokio::process::Command::from(cluster.server(listen));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {}", cluster.binaries.postgres().display()))?;
        if let Some(process) = child.id() {
            priority::lower(process.cast_signed(), priority::SERVER);
        }
        let stderr = child.stderr.take().context("the server has no standard error")?;
        Ok((Self(child), Log::keep(cluster.home.log(), stderr)))
    }

    /// A fast shutdown; one that takes too long becomes an immediate one, and then a kill. Neither
    /// loses a commit: the next start replays the log.
    async fn stop(&mut self) -> anyhow::Result<()> {
        for (signal, limit) in
            [(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)]
        {
            self.signal(signal);
            if timeout(limit, self.0.wait()).await.is_ok() {
                tracing::info!("the private PostgreSQL has stopped");
                return Ok(());
            }
            tracing::warn!(%signal, "the private PostgreSQL does not stop; insisting");
        }
        self.0.kill().await.context("cannot kill PostgreSQL")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok());
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
