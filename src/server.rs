//! Assembles the service, binds its socket, and runs it until a stop is requested.

mod connections;
mod first_head;
mod followers;
mod heads;
mod http;
mod listener;
mod proxied;
mod replica;
mod schema;
mod tls;
mod transport;
mod workers;

pub use tls::check as check_certificate;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alerts::Rule;
use crate::api::health::Health;
use crate::api::{
    self, ApiState, CursorKeys, Exports, HeldAnswers, Keyring, ReadServers, SetupState, SharedReads,
};
use crate::clock::Clock;
use crate::config::{Ack, AlertSettings, Settings, SourceSettings};
use crate::domain::{DeliveryId, SourceName};
use crate::drain::attempts::Attempts;
use crate::drain::direct::{Direct, Otherwise};
use crate::drain::worker::Worker;
use crate::gate::{Cors, Gate, Proxies};
use crate::inbox::{Backlog, Inbox};
use crate::jobs::agent_journal;
use crate::jobs::alerts::{self, Alerts, OwnState};
use crate::jobs::bulk_retry::BulkRetry;
use crate::jobs::pulse::{self, Pulse};
use crate::lifecycle::Lifecycle;
use crate::live::{Live, Render};
use crate::postgres::{self, Database, SchemaState};
use crate::store::fence::ErasureFence;
use crate::store::keys::KeyHash;
use crate::store::sign_in_links::generate_link_token;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::webhook::credentials::Source;
use crate::webhook::durable::Durable;
use crate::webhook::front_door::FrontDoor;
use crate::webhook::handler::Webhook;
use connections::Connections;
use http::{Http, Parts};
use listener::Listener;
use schema::SchemaTask;
use tls::Pair;

/// Workers of the drain. One is as fast as the inbox. Two would halve the batches, and wait for
/// each other's locks on sessions.
pub const DRAIN_WORKERS: usize = 1;
/// Time limit of the drain after a stop. The rest stays in the inbox's file.
const FINISH_DRAIN: Duration = Duration::from_secs(10);

/// Running service.
pub struct Server {
    /// Address that it listens on, with the chosen port if the settings have port 0.
    pub address: SocketAddr,
    /// Deliveries that are not yet in Postgres.
    pub backlog: Arc<Backlog>,
    database: Arc<Database>,
    schema: CancellationToken,
    http: Http,
    inbox: Inbox,
    store: Store,
    workers: TaskTracker,
    give_up: CancellationToken,
    life: Lifecycle,
}

impl Server {
    /// Starts the service. It accepts deliveries at once; the inbox stores them until Postgres is
    /// ready.
    pub async fn start(settings: Settings, clock: Clock, life: Lifecycle) -> anyhow::Result<Self> {
        // First, so that a used port or an invalid certificate fails before a database is created.
        let listener = Listener::take(settings.listen)?;
        let address = listener.address;
        let tls = settings.tls.clone().map(Pair::read).transpose()?;
        let database = Arc::new(Database::open(&settings.database).await?);
        let weak_database = Arc::downgrade(&database);
        life.on_abrupt_end(move || {
            if let Some(database) = weak_database.upgrade() {
                database.ask_to_stop();
            }
        });
        let connector = database.connector();
        let metrics = Metrics::new(&clock, settings.sources.iter().map(|source| &source.name))?;
        life.spawn("metrics", metrics.clone().run_upkeep(life.clone()));
        let (inbox, backlog) = open_inbox(&settings, metrics.clone(), &clock, &life).await?;
        let pool = postgres::read_pool(connector.clone());
        // A connection wakes the thread that opened it. If requests shared connections with jobs,
        // each answer of the database would have to wake another thread.
        let job_pool = postgres::read_pool(connector.clone());
        let (health_sender, health_updates) = watch::channel(Pulse::default());
        let health_job = pulse::run(connector.clone(), clock.clone(), health_sender, life.clone());
        life.spawn("pulse", health_job);

        let erasures = ErasureFence::default();
        let primary = (&connector, &pool);
        let replica = replica::start(&settings, primary, &erasures, &metrics, &clock, &life)?;

        let schema = CancellationToken::new();
        let (schema_state, schema_seen) = watch::channel(SchemaState::default());
        let schema_task = SchemaTask {
            database: database.clone(),
            migrate: settings.migrate,
            state: schema_state,
            read_pool: pool.clone(),
            pool: job_pool.clone(),
            clock: clock.clone(),
            keep: settings.keep.clone(),
            roles: settings.roles.clone(),
            erasures: erasures.clone(),
            ready: schema.clone(),
        };
        life.spawn("schema", schema_task.run(life.clone()));

        let (committed, commits) = watch::channel(());
        let attempts = Attempts::new(committed);
        let worker = |give_up| {
            let (backlog, connector, life) = (backlog.clone(), connector.clone(), life.clone());
            let (roles, metrics) = (settings.roles.clone(), metrics.clone());
            Worker::new(backlog, connector, roles, metrics, attempts.clone(), life, give_up)
        };
        let (workers, give_up) = start_drain(worker, &schema, &life);

        let search_seen = followers::start_indexer(&connector, &backlog, &schema, &life);
        let figures =
            followers::start_facts(&settings, connector.clone(), &backlog, &schema, &life);

        let gate = gate(&settings, &clock, &life);
        let otherwise = otherwise(settings.ack);
        let (roles, attempted) = (&settings.roles, attempts.clone());
        let direct =
            Direct::start(connector, roles.clone(), otherwise, metrics.clone(), attempted, &life);
        let durable = Durable::new(inbox.clone(), direct, settings.ack, metrics.clone());
        let webhook = webhook(&settings, durable, &gate, &clock, &metrics)?;
        let health = Health {
            inbox: inbox.clone(),
            depth: backlog.watch_depth(),
            inbox_quota_bytes: settings.inbox_quota_bytes,
            pulse: health_updates,
            attempts,
            is_first_start: database.is_new(),
            schema: schema_seen,
            search: search_seen,
            figures,
            replica: replica.clone(),
            metrics,
            clock: clock.clone(),
        };
        let store = Store::new(pool).with_roles(roles.clone()).with_fence(erasures.clone());
        let job_store = Store::new(job_pool).with_roles(roles.clone());
        start_jobs(&job_store, &clock, &schema, &life);
        let alerts = start_alerts(&settings, &job_store, &clock, &health, &life)?;
        let bootstrap: Vec<_> = settings.api_key.clone().into_iter().collect();
        let cursors = CursorKeys::new(store.clone(), clock.clone());
        let render = render(&settings, &clock, &cursors);
        let held = HeldAnswers::default();
        let state = ApiState {
            gate,
            keyring: Keyring::new(store.clone(), clock.clone(), &bootstrap),
            live: Live::start(job_store, render, held.shares().clone(), commits, &life),
            store: store.clone(),
            servers: ReadServers::new(replica),
            cursors,
            clock,
            alerts,
            silence: settings.silence,
            visit_gaps: Arc::new(settings.visit_gaps.clone()),
            reads: SharedReads::default(),
            exports: Exports::default(),
            held,
            life: life.clone(),
        };
        let connections = Connections::new(settings.max_connections);
        let setup = setup(&settings, address, &state.clock)?;
        let parts = Parts { webhook, health, api: state, setup };
        let http = Http::open(listener, tls, connections, parts, &life)?;
        Ok(Self { address, backlog, database, schema, http, inbox, store, workers, give_up, life })
    }

    /// Waits until the database is up and has the schema of this version.
    pub async fn ready(&self) {
        self.schema.cancelled().await;
    }

    /// Creates a one-time link that signs a browser in, and returns its token.
    pub async fn make_sign_in_link(&self, clock: &Clock) -> Result<String, StoreError> {
        let (token, now) = (generate_link_token(), clock.now());
        let key_id = DeliveryId::new(now).0;
        self.store.insert_sign_in_link(KeyHash::of(&token), key_id, now).await?;
        Ok(token)
    }

    /// Runs until a stop is requested. Then finishes open requests, drains the inbox, and closes
    /// everything. In this order, each step has all answered deliveries before it begins.
    pub async fn run(self) -> anyhow::Result<()> {
        self.life.stopping().await;
        self.http.close().await;
        self.inbox.close();
        if tokio::time::timeout(FINISH_DRAIN, self.workers.wait()).await.is_err() {
            let left = self.backlog.watch_depth().borrow().deliveries;
            tracing::warn!(left, "drain did not finish in time; the rest stays in the inbox");
        }
        self.give_up.cancel();
        self.workers.wait().await;
        self.backlog.end_drain();
        let finished = self.life.finished().await;
        // All tasks that shared it have ended.
        if let Some(database) = Arc::into_inner(self.database) {
            database.stop().await?;
        }
        Ok(finished?)
    }
}

/// Returns where a delivery goes if Postgres does not accept it.
fn otherwise(ack: Ack) -> Otherwise {
    match ack {
        Ack::Inbox => Otherwise::Nobody,
        Ack::Postgres => Otherwise::Inbox,
    }
}

fn gate(settings: &Settings, clock: &Clock, life: &Lifecycle) -> Gate {
    let proxies = Proxies::new(&settings.trusted_proxies);
    let mut gate = Gate::new(proxies, settings.max_body_bytes, clock.clone());
    gate.strict_transport = settings.tls.is_some();
    gate.cors = Cors::new(&settings.cors_origins);
    life.spawn("failures", gate.failures.clone().run(life.clone()));
    life.spawn("lines", gate.lines.clone().run(life.clone()));
    gate
}

async fn open_inbox(
    settings: &Settings,
    metrics: Arc<Metrics>,
    clock: &Clock,
    life: &Lifecycle,
) -> anyhow::Result<(Inbox, Arc<Backlog>)> {
    let path = settings.database.data_dir.join("inbox/inbox.sqlite");
    let opened = Inbox::open(&path, settings.inbox_quota_bytes, metrics, clock, life).await;
    opened.with_context(|| format!("cannot open the inbox {}", path.display()))
}

/// Starts the drain's workers. Returns a tracker that waits for their end, and a token that makes
/// them give up.
fn start_drain(
    worker: impl Fn(CancellationToken) -> Worker,
    schema: &CancellationToken,
    life: &Lifecycle,
) -> (TaskTracker, CancellationToken) {
    let (workers, give_up) = (TaskTracker::new(), CancellationToken::new());
    for _ in 0..DRAIN_WORKERS {
        let worker = worker(give_up.clone());
        let work = workers.track_future(drain(worker, schema.clone(), life.clone()));
        life.spawn("drain worker", work);
    }
    workers.close();
    (workers, give_up)
}

/// Runs a drain worker once the schema is ready.
async fn drain(worker: Worker, schema: CancellationToken, life: Lifecycle) {
    tokio::select! {
        biased;
        () = schema.cancelled() => worker.run().await,
        () = life.stopping() => {}
    }
}

/// Indexes the journal by agent once the schema is ready.
async fn run_agent_journal(store: Store, schema: CancellationToken, life: Lifecycle) {
    tokio::select! {
        biased;
        () = life.stopping() => {}
        () = schema.cancelled() => agent_journal::run(store, life.clone()).await,
    }
}

/// Runs bulk retries once the schema is ready.
async fn run_bulk_retry(retry: BulkRetry, schema: CancellationToken, life: Lifecycle) {
    tokio::select! {
        biased;
        () = life.stopping() => {}
        () = schema.cancelled() => retry.run(life.clone()).await,
    }
}

/// Starts the jobs that only use the database. They wait for the schema.
fn start_jobs(store: &Store, clock: &Clock, schema: &CancellationToken, life: &Lifecycle) {
    life.spawn("journal by agent", run_agent_journal(store.clone(), schema.clone(), life.clone()));
    let bulk_retry = BulkRetry::new(store.clone(), clock.clone());
    life.spawn("bulk retry", run_bulk_retry(bulk_retry, schema.clone(), life.clone()));
}

fn render(settings: &Settings, clock: &Clock, cursors: &CursorKeys) -> Render {
    let Settings { roles, silence, .. } = settings;
    api::event_text(roles.clone(), *silence, clock.clone(), cursors.clone())
}

fn setup(settings: &Settings, address: SocketAddr, clock: &Clock) -> anyhow::Result<SetupState> {
    Ok(SetupState {
        front_door: FrontDoor::new(&settings.sources, address, settings.tls.is_some())?,
        data_dir: settings.database.data_dir.clone(),
        keep: settings.keep.clone(),
        started_at: clock.now(),
    })
}

/// Starts the evaluation of alerts, if there are any, and returns their rules. It does not wait for
/// the schema: without the database it checks the alerts on the state of this service.
fn start_alerts(
    settings: &Settings,
    store: &Store,
    clock: &Clock,
    health: &Health,
    life: &Lifecycle,
) -> anyhow::Result<Arc<[Rule]>> {
    let all: Arc<[AlertSettings]> = settings.alerts.clone().into();
    if !all.is_empty() {
        let client = alerts::Client::new(all.iter().map(|alert| &alert.receiver))?;
        let metrics = health.metrics.clone();
        let depth = health.depth.clone();
        let own = OwnState { depth, metrics: metrics.clone(), started_at: clock.now() };
        let job = Alerts::new(all.clone(), store.clone(), clock.clone(), client, own, metrics);
        life.spawn("alerts", job.run(life.clone()));
    }
    Ok(all.iter().map(|alert| alert.rule.clone()).collect())
}

fn webhook(
    settings: &Settings,
    durable: Durable,
    gate: &Gate,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Webhook> {
    let prepare = |source: &SourceSettings| Ok((source.name.clone(), Source::new(source)?));
    let sources: anyhow::Result<HashMap<SourceName, Source>> =
        settings.sources.iter().map(prepare).collect();
    Ok(Webhook {
        sources: Arc::new(sources?),
        durable,
        gate: gate.clone(),
        clock: clock.clone(),
        max_body_bytes: settings.max_body_bytes,
        metrics: metrics.clone(),
    })
}
