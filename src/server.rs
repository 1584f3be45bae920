//! Assembles the service, binds its socket, and runs it until a stop is requested.

mod connections;
mod drain;
mod first_head;
mod heads;
mod http;
mod ingest;
mod jobs;
mod listener;
mod proxied;
mod read_api;
mod replica;
mod resources;
mod schema;
mod tls;
mod transport;
mod workers;

pub use drain::DRAIN_WORKERS;
pub use tls::check as check_certificate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::health::Health;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::DeliveryId;
use crate::inbox::{Backlog, Inbox};
use crate::lifecycle::Lifecycle;
use crate::postgres::Database;
use crate::store::keys::KeyHash;
use crate::store::sign_in_links::generate_link_token;
use crate::store::{Store, StoreError};
use connections::Connections;
use drain::Drain;
use http::{Http, Parts};
use listener::Listener;
use read_api::Uses;
use resources::Resources;
use tls::Pair;

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
        let resources = Resources::open(settings, clock, life).await?;
        let database_health = jobs::start_database_health(&resources);
        let replica = replica::start(&resources)?;
        let schema = schema::start(&resources);
        let Drain { attempts, commits, workers, give_up } = Drain::start(&resources);
        let search = jobs::start_indexer(&resources);
        let figures = jobs::start_facts(&resources);
        let ingress = ingest::start_ingress(&resources);
        let webhook = ingest::start_webhook(&resources, attempts.clone(), ingress.clone())?;
        let health = Health {
            inbox: resources.inbox.clone(),
            depth: resources.backlog.watch_depth(),
            inbox_quota_bytes: resources.settings.inbox_quota_bytes,
            database_health,
            attempts,
            is_first_start: resources.database.is_new(),
            schema,
            search,
            figures,
            replica: replica.clone(),
            metrics: resources.metrics.clone(),
            clock: resources.clock.clone(),
        };
        let (store, job_store) = (resources.request_store(), resources.job_store());
        jobs::start_agent_journal(&resources, job_store.clone());
        jobs::start_bulk_retry(&resources, job_store.clone());
        let alerts = jobs::start_alerts(&resources, &job_store)?;
        let uses = Uses { ingress, store: store.clone(), job_store, replica, alerts, commits };
        let api = read_api::start(&resources, uses);
        let setup = read_api::setup(&resources, address)?;
        let connections = Connections::new(resources.settings.max_connections);
        let parts = Parts { webhook, health, api, setup };
        let http = Http::open(listener, tls, connections, parts, &resources.life)?;
        let Resources { backlog, database, schema, inbox, life, .. } = resources;
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
