//! Opens the resources that the stages of the start share: database, metrics, inbox and pools.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Settings;
use crate::inbox::{Backlog, Inbox};
use crate::lifecycle::Lifecycle;
use crate::postgres::{self, Connector, Database, Pool};
use crate::store::Store;
use crate::store::fence::ErasureFence;
use crate::telemetry::Metrics;

/// Resources that the stages of the start share.
pub(super) struct Resources {
    pub(super) settings: Settings,
    pub(super) clock: Clock,
    pub(super) life: Lifecycle,
    pub(super) database: Arc<Database>,
    pub(super) connector: Connector,
    pub(super) metrics: Arc<Metrics>,
    pub(super) inbox: Inbox,
    pub(super) backlog: Arc<Backlog>,
    /// Pool of the requests.
    pub(super) pool: Pool,
    /// Pool of the jobs. A connection wakes the thread that opened it. If requests shared
    /// connections with jobs, each answer of the database would have to wake another thread.
    pub(super) job_pool: Pool,
    /// Counts erasures that finish in this process.
    pub(super) erasures: ErasureFence,
    /// Cancelled once the schema is ready.
    pub(super) schema: CancellationToken,
}

impl Resources {
    /// Opens the database, then the inbox.
    pub(super) async fn open(
        settings: Settings,
        clock: Clock,
        life: Lifecycle,
    ) -> anyhow::Result<Self> {
        let database = open_database(&settings, &life).await?;
        let connector = database.connector();
        let metrics = Metrics::new(&clock, settings.sources.iter().map(|source| &source.name))?;
        life.spawn("metrics", metrics.clone().run_upkeep(life.clone()));
        let (inbox, backlog) = open_inbox(&settings, metrics.clone(), &clock, &life).await?;
        Ok(Self {
            database,
            metrics,
            inbox,
            backlog,
            pool: postgres::read_pool(connector.clone()),
            job_pool: postgres::read_pool(connector.clone()),
            connector,
            erasures: ErasureFence::default(),
            schema: CancellationToken::new(),
            settings,
            clock,
            life,
        })
    }

    /// Creates the store of the requests.
    pub(super) fn request_store(&self) -> Store {
        Store::new(self.pool.clone())
            .with_roles(self.settings.roles.clone())
            .with_fence(self.erasures.clone())
    }

    /// Creates the store of the jobs.
    pub(super) fn job_store(&self) -> Store {
        Store::new(self.job_pool.clone()).with_roles(self.settings.roles.clone())
    }
}

/// Opens the database, and stops a private one if the process ends abruptly.
async fn open_database(settings: &Settings, life: &Lifecycle) -> anyhow::Result<Arc<Database>> {
    let database = Arc::new(Database::open(&settings.database).await?);
    let weak_database = Arc::downgrade(&database);
    life.on_second_signal(move || {
        if let Some(database) = weak_database.upgrade() {
            database.signal_stop();
        }
    });
    Ok(database)
}

async fn open_inbox(
    settings: &Settings,
    metrics: Arc<Metrics>,
    clock: &Clock,
    life: &Lifecycle,
) -> anyhow::Result<(Inbox, Arc<Backlog>)> {
    let path = settings.database.inbox_file();
    let opened = Inbox::open(&path, settings.inbox_quota_bytes, metrics, clock, life).await;
    opened.with_context(|| format!("cannot open the inbox {}", path.display()))
}
