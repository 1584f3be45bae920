//! Keeps the private server running for as long as we run, and stops it after.

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

/// The wait before the first start after a failure; it doubles with each that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// The longest wait between two starts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(15);
/// How often we look whether an upgrade is asked for.
const REQUEST_INTERVAL: Duration = Duration::from_secs(2);
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
    /// Somebody asked for another major version, so it was stopped for that.
    UpgradeRequested,
}

impl Supervisor {
    /// Starts the server, and starts it again whenever it ends. With `upgrades`, does what
    /// `verbatim upgrade-postgres` asks for.
    pub(super) fn start(cluster: Cluster, lock: Lock, upgrades: bool) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let pid = Arc::new(AtomicI32::new(0));
        let running = pid.clone();
        let task = tokio::spawn(async move {
            supervise(cluster, upgrades, &sender, &stopping, &running).await;
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
    mut cluster: Cluster,
    upgrades: bool,
    state: &watch::Sender<State>,
    stop: &CancellationToken,
    running: &AtomicI32,
) {
    let (mut times, mut backoff, mut hint) = (0, FIRST_BACKOFF, None);
    while !stop.is_cancelled() {
        state.send_replace(State::Starting);
        let life = async {
            if upgrades && upgrade_as_asked(&mut cluster, stop, running).await? {
                return Ok(End::Stopped);
            }
            run_once(&cluster, upgrades, state, stop, running).await
        };
        let ended = life.await;
        if matches!(*state.borrow(), State::Ready) {
            (times, backoff, hint) = (0, FIRST_BACKOFF, None);
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
        // A package that is replaced may have moved the programs.
        let error = match (error, cluster.with_programs_found_again().await) {
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

/// Upgrades the cluster where that is asked for. Returns `true` where we were told to stop meanwhile.
async fn upgrade_as_asked(
    cluster: &mut Cluster,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<bool> {
    upgrade::finish_switch(&cluster.home)?;
    let Some(request) = Request::read(&cluster.home)? else { return Ok(false) };
    match upgrade::run(cluster, request, stop, running).await {
        Ok(Upgraded::Done(new)) => *cluster = new,
        Ok(Upgraded::Stopped) => return Ok(true),
        // It is reported, and the cluster is as it was.
        Err(_) if Request::read(&cluster.home)?.is_none() => {}
        Err(error) => return Err(error),
    }
    Ok(false)
}

/// One life of the server. It ends well only because we stop it.
async fn run_once(
    cluster: &Cluster,
    upgrades: bool,
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
    let mut server = Server::spawn(cluster.server(listen), cluster.home.log())?;
    let pid = server.pid().context("it ended at once")?;
    running.store(pid.cast_signed(), Ordering::Relaxed);
    let end = tokio::select! {
        end = live(cluster, upgrades, state, &mut server, files, listen) => end,
        () = stop.cancelled() => Ok(End::Stopped),
    };
    let stopped = match &end {
        Ok(_) => server.stop().await,
        Err(_) => Ok(()),
    };
    // Its number may go to another process from now on.
    running.store(0, Ordering::Relaxed);
    stopped.and(end)
}

/// Watches over a server that runs, until there is something to stop it for. Its own end is an error.
async fn live(
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
        "the private PostgreSQL is ready"
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

/// Waits until somebody asks for an upgrade that can be tried. Any other is refused, and the server goes
/// on.
async fn upgrade_is_requested(cluster: &Cluster) {
    loop {
        sleep(REQUEST_INTERVAL).await;
        // One that cannot be read is reported by the next start.
        let Ok(Some(request)) = Request::read(&cluster.home) else { continue };
        let (checked, asked) = (cluster.clone(), request.clone());
        let checked = tokio::task::spawn_blocking(move || upgrade::check(&checked, &asked)).await;
        match checked {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                if let Err(error) = upgrade::refuse(&cluster.home, &request, &error) {
                    tracing::error!(error = format!("{error:#}"), "cannot forget the upgrade");
                }
            }
            // The runtime ends, and we with it.
            Err(_) => {}
        }
    }
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
