//! Runs the private server as long as this process runs, restarts it after failures, and stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::files::Files;
use super::home::SOCKET_PORT;
use super::listen::Listen;
use super::lock::Lock;
use super::pidfile;
use super::server::Server;
use super::upgrade::{self, Request, Upgraded};
use crate::retry::Retry;

/// Wait before the first restart after a failure. It doubles with each further failure.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait between two starts.
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// Interval between two checks for an upgrade request.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);
/// Advice if the replaced files do not start.
const HINT_AFTER_CHANGE: &str = "the server's files were replaced while it ran: install the \
     cluster's major version again; nothing else is needed, deliveries wait in the inbox";
/// Failed starts after which a command gives up. Processes of a killed server take a moment to end,
/// and block a new one meanwhile.
const COMMAND_ATTEMPTS: u32 = 5;

/// State of the server.
#[derive(Clone, Debug)]
enum State {
    /// Starting; after a crash it replays the log first.
    Starting,
    /// Accepting connections.
    Ready,
    /// Failed to start; it is retried.
    Failing { times: u32, reason: Arc<str> },
    /// Stopped by this process.
    Stopped,
}

/// Supervisor of one server. On drop without [`Supervisor::stop`], it stops the server and does not
/// wait for that.
#[derive(Debug)]
pub(super) struct Supervisor {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    /// Process id of the server; 0 while there is none.
    pid: Arc<AtomicI32>,
    task: Option<JoinHandle<()>>,
}

/// Reason for an orderly end of one run of the server.
enum End {
    /// A stop was requested.
    Stopped,
    /// Its files were replaced: it is restarted from the new ones.
    FilesChanged,
    /// An upgrade to another major version was requested.
    UpgradeRequested,
}

impl Supervisor {
    /// Starts the server, and restarts it whenever it ends. With `upgrades`, handles the requests
    /// of `verbatim upgrade-postgres`.
    pub(super) fn start(cluster: Cluster, lock: Lock, upgrades: bool) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let pid = Arc::new(AtomicI32::new(0));
        let running = pid.clone();
        let task = tokio::spawn(async move {
            supervise(cluster, upgrades, &sender, &stopping, &running).await;
            sender.send_replace(State::Stopped);
            // Held until the server has ended.
            drop(lock);
        });
        Self { state, stop, pid, task: Some(task) }
    }

    /// Waits until the server accepts connections.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        self.reaches(|state| matches!(state, State::Ready | State::Stopped)).await
    }

    /// Waits like [`Self::ready`], but fails if the server does not start. For commands.
    pub(super) async fn ready_soon(&self) -> anyhow::Result<()> {
        self.reaches(|state| match state {
            State::Ready | State::Stopped => true,
            State::Failing { times, .. } => *times >= COMMAND_ATTEMPTS,
            State::Starting => false,
        })
        .await
    }

    async fn reaches(&self, wanted: impl FnMut(&State) -> bool) -> anyhow::Result<()> {
        let mut state = self.state.clone();
        let reached = state.wait_for(wanted).await.context("PostgreSQL's supervisor died")?;
        match &*reached {
            State::Failing { reason, .. } => {
                bail!("private PostgreSQL does not start: {reason}")
            }
            State::Stopped => bail!("private PostgreSQL was stopped"),
            State::Starting | State::Ready => Ok(()),
        }
    }

    /// Signals the server to stop, independently of this supervisor.
    pub(super) fn signal_stop(&self) {
        let pid = self.pid.load(Ordering::Relaxed);
        if pid > 0 {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
        }
    }

    /// Stops the server and waits for its end.
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
    mut cluster: Cluster,
    upgrades: bool,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    running: &AtomicI32,
) {
    let (mut retry, mut hint) = (Retry::new(FIRST_BACKOFF, MAX_BACKOFF), None);
    while !stop.is_cancelled() {
        state.send_replace(State::Starting);
        let run = async {
            if upgrades && upgrade_if_requested(&mut cluster, stop, running).await? {
                return Ok(End::Stopped);
            }
            run_once(&cluster, upgrades, state, stop, running).await
        };
        let ended = run.await;
        if matches!(*state.borrow(), State::Ready) {
            retry.reset();
            hint = None;
        }
        let error = match ended {
            Ok(End::Stopped) => return,
            Ok(End::UpgradeRequested) => continue,
            Ok(End::FilesChanged) => {
                hint = Some(HINT_AFTER_CHANGE);
                None
            }
            Err(error) => Some(error),
        };
        // The replacement of a package may have moved the programs.
        let error = match (error, cluster.with_programs_found_again().await) {
            (error, Ok(found)) => {
                cluster = found;
                error
            }
            (None, Err(missing)) => Some(missing),
            (Some(error), Err(missing)) => Some(missing.context(error)),
        };
        let Some(error) = error else { continue };
        // Each failed start is logged, since its reason may differ.
        retry.fail();
        let reason = format!("{error:#}");
        tracing::error!(
            error = reason,
            next_start = %humantime::format_duration(retry.wait()),
            log = %cluster.home.log().display(),
            hint,
            "private PostgreSQL is down",
        );
        let times = retry.failures();
        state.send_replace(State::Failing { times, reason: reason.into() });
        tokio::select! {
            () = sleep(retry.wait()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Upgrades the cluster if that was requested. Returns `true` if a stop was requested meanwhile.
async fn upgrade_if_requested(
    cluster: &mut Cluster,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<bool> {
    upgrade::finish_switch(&cluster.home)?;
    let Some(request) = Request::read(&cluster.home)? else { return Ok(false) };
    match upgrade::run(cluster, request, stop, running).await {
        Ok(Upgraded::Done(new)) => *cluster = new,
        Ok(Upgraded::Stopped) => return Ok(true),
        // The error was reported, and the cluster is unchanged.
        Err(_) if Request::read(&cluster.home)?.is_none() => {}
        Err(error) => return Err(error),
    }
    Ok(false)
}

/// Runs the server once. Returns without an error only if this process stops it.
async fn run_once(
    cluster: &Cluster,
    upgrades: bool,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<End> {
    let folder = cluster.home.cluster();
    tokio::select! {
        cleared = pidfile::stop_leftover_server(&folder) => cleared?,
        () = stop.cancelled() => return Ok(End::Stopped),
    }
    let listen = cluster.prepare_to_listen().await;
    let port = listen.map_or(SOCKET_PORT, |listen| listen.address.port());
    cluster.home.prepare_socket(&cluster.account, port)?;
    // Before the start, so that a later replacement is noticed.
    let files = Files::observe(&cluster.binaries);
    let mut server = Server::spawn(cluster.server(listen), cluster.home.log())?;
    let pid = server.pid().context("it ended at once")?;
    running.store(pid.cast_signed(), Ordering::Relaxed);
    let end = tokio::select! {
        end = watch_until_end(cluster, upgrades, state, &mut server, files, listen) => end,
        () = stop.cancelled() => Ok(End::Stopped),
    };
    let stopped = match &end {
        Ok(_) => server.stop().await,
        Err(_) => Ok(()),
    };
    // The process id may now be used by another process.
    running.store(0, Ordering::Relaxed);
    stopped.and(end)
}

/// Watches a running server until there is a reason to stop it. Fails if the server ends.
async fn watch_until_end(
    cluster: &Cluster,
    upgrades: bool,
    state: &watch::Sender<State>,
    server: &mut Server,
    files: Files,
    listen: Option<Listen>,
) -> anyhow::Result<End> {
    let started = Instant::now();
    server.ready(&cluster.home.cluster()).await?;
    tracing::info!(
        pid = server.pid(),
        postgresql = cluster.binaries.version(),
        took_ms = started.elapsed().as_millis(),
        "private PostgreSQL is ready"
    );
    if let Some(listen) = listen {
        tracing::info!(address = %listen.address, "private PostgreSQL listens for readers");
    }
    state.send_replace(State::Ready);
    tokio::select! {
        () = files_change(cluster, files) => Ok(End::FilesChanged),
        () = upgrade_is_requested(cluster), if upgrades => Ok(End::UpgradeRequested),
        error = server.ended() => Err(error),
    }
}

/// Waits for an upgrade request that can be carried out. Rejects others; the server continues to
/// run.
async fn upgrade_is_requested(cluster: &Cluster) {
    loop {
        sleep(REQUEST_INTERVAL).await;
        // A request that cannot be read is reported by the next start.
        let Ok(Some(request)) = Request::read(&cluster.home) else { continue };
        let (checked, asked) = (cluster.clone(), request.clone());
        let checked = tokio::task::spawn_blocking(move || upgrade::check(&checked, &asked)).await;
        match checked {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                if let Err(error) = upgrade::refuse(&cluster.home, &request, &error) {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "cannot remove the upgrade request"
                    );
                }
            }
            // The runtime is shutting down.
            Err(_) => {}
        }
    }
}

/// Waits until the server's files have changed to ones that can run the cluster. Until then the
/// running server is better than none: what it has loaded still works.
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
