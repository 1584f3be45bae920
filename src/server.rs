//! Builds the whole from its parts, binds, and runs until it is asked to stop.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use anyhow::Context as _;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::health::Health;
use crate::api::{self, ApiState, Keyring, SharedReads};
use crate::clock::Clock;
use crate::config::{Settings, SourceSettings};
use crate::domain::SourceName;
use crate::drain::direct::Direct;
use crate::drain::worker::Worker;
use crate::inbox::{Backlog, Inbox};
use crate::jobs::partitions;
use crate::jobs::pulse::{self, Pulse};
use crate::lifecycle::Lifecycle;
use crate::live::Live;
use crate::postgres::{self, Database};
use crate::store::Store;
use crate::webhook::credentials::Source;
use crate::webhook::durable::Durable;
use crate::webhook::handler::{self, Webhook};

/// Workers of the drain. One keeps up with all that the inbox takes: a second would halve the
/// batches, and wait for the sessions that both have in theirs.
pub const DRAIN_WORKERS: usize = 1;
/// How long an idle connection is kept. The sender tries once: a delivery that crosses the closing
/// of its connection is lost, so connections are closed rarely.
const KEEP_ALIVE: Duration = Duration::from_mins(10);
/// How long a request's head may take.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// How long a client may take nothing of what it is sent: the framework itself waits for ever. Long
/// enough for one that loads a page of a large answer before it reads on.
const WRITE_DEADLINE: Duration = Duration::from_mins(1);
/// How long open requests may go on once the service is stopping, in seconds.
const FINISH_REQUESTS_SECONDS: u64 = 15;
/// How long the drain may go on after that. What is left is in the inbox's file.
const FINISH_DRAIN: Duration = Duration::from_secs(10);

/// How long to wait before the schema is tried again.
const SCHEMA_RETRY: Duration = Duration::from_secs(2);

/// A service that runs.
pub struct Server {
    /// Where it listens: the port that was chosen, where the settings said 0.
    pub address: SocketAddr,
    /// What is not yet in Postgres.
    pub backlog: Arc<Backlog>,
    database: Arc<Database>,
    schema: CancellationToken,
    http: ServerHandle,
    inbox: Inbox,
    workers: TaskTracker,
    give_up: CancellationToken,
    life: Lifecycle,
}

impl Server {
    /// Starts everything. Postgres may take its time: deliveries are taken from the first moment,
    /// and kept in the inbox until it is there.
    pub async fn start(settings: Settings, clock: Clock, life: Lifecycle) -> anyhow::Result<Self> {
        // First of all: a port that is taken is no reason to make a database.
        let listener = bind(settings.listen)?;
        let address = listener.local_addr()?;
        let database = Arc::new(Database::open(&settings.database).await?);
        let options = database.connect_options();
        let (inbox, backlog) = open_inbox(&settings, &life).await?;
        let pool = postgres::read_pool(options.clone());
        let (pulse, pulse_seen) = watch::channel(Pulse::default());
        life.spawn("pulse", pulse::run(options.clone(), clock.clone(), pulse, life.clone()));

        let schema = CancellationToken::new();
        let keep = keep_schema(
            database.clone(),
            settings.migrate,
            pool.clone(),
            clock.clone(),
            schema.clone(),
            life.clone(),
        );
        let stopping = life.clone();
        life.spawn("schema", async move {
            tokio::select! {
                () = stopping.stopping() => {}
                () = keep => {}
            }
        });

        let (workers, give_up) = (TaskTracker::new(), CancellationToken::new());
        let (committed, commits) = watch::channel(());
        for _ in 0..DRAIN_WORKERS {
            let worker = Worker::new(
                backlog.clone(),
                options.clone(),
                committed.clone(),
                life.clone(),
                give_up.clone(),
            );
            let work = workers.track_future(drain(worker, schema.clone(), life.clone()));
            life.spawn("drain worker", work);
        }
        workers.close();

        let direct = Direct::start(options, committed, &life);
        let webhook = Webhook {
            sources: Arc::new(sources(&settings)?),
            durable: Durable::new(inbox.clone(), direct, settings.ack),
            clock: clock.clone(),
            max_body_bytes: settings.max_body_bytes,
        };
        let health = Health {
            inbox: inbox.clone(),
            depth: backlog.watch_depth(),
            inbox_quota_bytes: settings.inbox_quota_bytes,
            pulse: pulse_seen,
            clock: clock.clone(),
        };
        let store = Store::new(pool);
        let bootstrap: Vec<_> = settings.api_key.clone().into_iter().collect();
        let render = api::event_text(settings.silence, clock.clone());
        let state = ApiState {
            keyring: Keyring::new(store.clone(), clock.clone(), &bootstrap),
            live: Live::start(store.clone(), render, commits, &life),
            store,
            clock,
            silence: settings.silence,
            reads: SharedReads::default(),
        };
        let http = serve(listener, webhook, health, state, &life)?;
        Ok(Self { address, backlog, database, schema, http, inbox, workers, give_up, life })
    }

    /// Resolves once the database is up and its schema is what this version needs.
    pub async fn ready(&self) {
        self.schema.cancelled().await;
    }

    /// Runs until the service is asked to stop, then finishes what is open, drains, and closes: in
    /// that order, so that every delivery that was answered is on its way before the next step.
    pub async fn run(self) -> anyhow::Result<()> {
        self.life.stopping().await;
        self.http.stop(true).await;
        self.inbox.close();
        if tokio::time::timeout(FINISH_DRAIN, self.workers.wait()).await.is_err() {
            let left = self.backlog.watch_depth().borrow().deliveries;
            tracing::warn!(left, "Postgres did not take everything in time; the inbox keeps it");
        }
        self.give_up.cancel();
        self.workers.wait().await;
        self.backlog.end_drain();
        let finished = self.life.finished().await;
        // Every task that shared it has ended.
        if let Some(database) = Arc::into_inner(self.database) {
            database.stop().await?;
        }
        Ok(finished?)
    }
}

async fn open_inbox(
    settings: &Settings,
    life: &Lifecycle,
) -> anyhow::Result<(Inbox, Arc<Backlog>)> {
    let folder = settings.database.data_dir.join("inbox");
    // Deliveries are conversations: nobody else's to read.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .with_context(|| format!("cannot make the inbox's folder {}", folder.display()))?;
    let path = folder.join("inbox.sqlite");
    let opened = Inbox::open(&path, settings.inbox_quota_bytes, life).await;
    opened.with_context(|| format!("cannot open the inbox {}", path.display()))
}

/// Waits for Postgres and brings its schema up to date, however long that takes; then keeps
/// partitions ahead of time. The drain begins after the first ones are made, so that nothing is
/// written that they would have to move.
async fn keep_schema(
    database: Arc<Database>,
    migrate: bool,
    pool: postgres::Pool,
    clock: Clock,
    schema: CancellationToken,
    life: Lifecycle,
) {
    while let Err(error) = bring_up(&database, migrate).await {
        tracing::error!(error = %format!("{error:#}"),
            "the database is not ready; the inbox keeps what arrives");
        tokio::time::sleep(SCHEMA_RETRY).await;
    }
    partitions::attempt(&pool, &clock).await;
    schema.cancel();
    partitions::run(pool, clock, life).await;
}

async fn bring_up(database: &Database, migrate: bool) -> anyhow::Result<()> {
    database.wait_ready().await?;
    let options = database.connect_options();
    if migrate {
        postgres::migrate(&options).await.map(drop)
    } else {
        postgres::check(&options).await
    }
}

/// Begins once there is a schema to write to.
async fn drain(worker: Worker, schema: CancellationToken, life: Lifecycle) {
    tokio::select! {
        biased;
        () = schema.cancelled() => worker.run().await,
        () = life.stopping() => {}
    }
}

fn sources(settings: &Settings) -> anyhow::Result<HashMap<SourceName, Source>> {
    let prepare = |source: &SourceSettings| Ok((source.name.clone(), Source::new(source)?));
    settings.sources.iter().map(prepare).collect()
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}; VERBATIM_LISTEN chooses another"))?;
    cut_off_the_stalled(&listener);
    Ok(listener)
}

/// Has the kernel end connections whose other end takes nothing any more. Connections inherit it
/// from their listener.
fn cut_off_the_stalled(listener: &TcpListener) {
    let deadline_ms = u32::try_from(WRITE_DEADLINE.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = setsockopt(listener, TcpUserTimeout, &deadline_ms) {
        tracing::debug!(%error, "connections that take nothing will last");
    }
}

fn serve(
    listener: TcpListener,
    webhook: Webhook,
    health: Health,
    state: ApiState,
    life: &Lifecycle,
) -> anyhow::Result<ServerHandle> {
    let (webhook, health) = (web::Data::new(webhook), web::Data::new(health));
    let state = web::Data::new(state);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(webhook.clone())
            .app_data(health.clone())
            .app_data(state.clone())
            .wrap(actix_web::middleware::from_fn(api::access_log))
            .configure(handler::routes)
            .configure(api::health::routes)
            .configure(api::routes)
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_DEADLINE)
    .shutdown_timeout(FINISH_REQUESTS_SECONDS)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    life.spawn("http server", async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server failed");
        }
    });
    Ok(handle)
}
