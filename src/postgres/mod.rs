//! The database: an external one, or a private `PostgreSQL` server in the data folder.
//!
//! [`Database`] owns the lifecycle of the private server and provides the connection options;
//! `store` owns the contents. From the machine up: `account` and `binaries` (what is installed),
//! `home` (folders), `lock` (exclusive use), `cluster` (the files), `pidfile`, `server` and
//! `supervisor` (the process), `files` (the server's program, which a package manager may replace),
//! `upgrade` (to another major version), `log` (the server's output), `listen` (TCP for readers).
//! For any database: `options`, `connector`, `schema` and `pools`, and `examine`, which only reads.

mod account;
mod binaries;
mod cluster;
mod connector;
mod examine;
mod files;
mod home;
mod listen;
mod lock;
mod log;
mod name;
mod options;
mod pidfile;
mod pools;
mod priority;
mod schema;
mod server;
mod standby;
mod supervisor;
mod upgrade;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use secrecy::SecretString;
use sqlx::Connection as _;
use sqlx::postgres::PgConnectOptions;
use tokio::time::{Instant, sleep};

pub use connector::{CONNECTIONS_OF_A_SERVICE, Connector};
pub use examine::{Access, Examination, Migrations, Place, PrivateCluster, examine, find};
pub use pools::{Pool, follow, read_pool};
pub use schema::{Migrated, SchemaState, check, migrate};
pub use standby::{
    Lsn, PrimaryPosition, StandbyPosition, StandbyRun, primary_position, standby_pool,
    standby_position,
};
pub use upgrade::{remove_old_clusters, upgrade_cluster};

use crate::config::DatabaseSettings;
use crate::retry::Retry;
use cluster::Cluster;
use home::Home;
use lock::{Lock, Purpose};
use options::{external, named, private};
use supervisor::Supervisor;

/// Waits between attempts to reach the database.
const RETRY: Retry = Retry::new(Duration::from_millis(250), Duration::from_secs(10));

/// The database. Call [`Database::stop`] once nothing uses it any more.
#[derive(Debug)]
pub struct Database {
    connector: Connector,
    /// Supervisor of the private server, if this process runs it.
    supervisor: Option<Supervisor>,
    /// The private cluster was created by this process.
    is_new: bool,
    /// Lock of the data folder: no other process serves from it.
    _lock: Option<Lock>,
}

impl Database {
    /// Opens the database for `serve`. Locks the data folder and, without a URL, starts the private
    /// server there. Does not wait for the server; see [`Database::wait_ready`].
    ///
    /// Fails for reasons that waiting cannot resolve: another process serves from the folder, no
    /// server binaries of the right major version are installed, or the folder cannot be used.
    pub async fn open(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        settings.create_data_dir()?;
        // Also with an external database: the inbox in the folder has one owner.
        let lock = Lock::take(&settings.data_dir.join(home::LOCK), Purpose::Serve).await?;
        if let Some(url) = &settings.url {
            let connector = external(url)?.into();
            return Ok(Self { connector, supervisor: None, is_new: false, _lock: Some(lock) });
        }
        let home = Home::prepare(&settings.data_dir, Path::new(home::ELSEWHERE))?;
        let running = Lock::take(&home.lock(), Purpose::Serve).await?;
        Self::run(home, running, Some(lock), settings.postgres_listen).await
    }

    /// Opens the database for `verbatim drain`. Locks the data folder like [`Database::open`], and
    /// starts the private server if there is no URL, but creates neither. Does not wait for the
    /// server; see [`Database::wait_ready`].
    pub async fn open_to_drain(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        let folder = &settings.data_dir;
        let is_made = || Home::existing(folder).is_ok_and(|home| home.cluster().exists());
        ensure!(
            settings.url.is_some() || is_made(),
            "{} has no private database: set DATABASE_URL to the database of the service that used \
             this folder",
            folder.display()
        );
        let lock = Lock::take(&folder.join(home::LOCK), Purpose::Drain).await?;
        if let Some(url) = &settings.url {
            let connector = external(url)?.into();
            return Ok(Self { connector, supervisor: None, is_new: false, _lock: Some(lock) });
        }
        let home = Home::prepare(folder, Path::new(home::ELSEWHERE))?;
        let running = Lock::take(&home.lock(), Purpose::Command).await?;
        let database = Self::run(home, running, None, None).await?;
        Ok(Self { _lock: Some(lock), ..database })
    }

    /// Opens the database for a command, and waits until it accepts connections. Uses the private
    /// server if it is running, else starts it and runs it until [`Database::stop`].
    pub async fn attach(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.url {
            let connector = Connector::from(external(url)?);
            // The connector keeps what it learns for later pools. Their first user gets the error.
            let _ = reach(&connector).await;
            return Ok(Self { connector, supervisor: None, is_new: false, _lock: None });
        }
        settings.create_data_dir()?;
        let home = Home::prepare(&settings.data_dir, Path::new(home::ELSEWHERE))?;
        let connector = Connector::direct(private(&home));
        let deadline = Instant::now() + lock::COMMAND_LIMIT;
        loop {
            // The holder may exit while this waits for its server, so both are tried in turn.
            let holder = match Lock::try_take(&home.lock(), Purpose::Command)? {
                Ok(running) => {
                    let database = Self::run(home, running, None, None).await?;
                    if let Some(supervisor) = &database.supervisor {
                        supervisor.ready_soon().await?;
                    }
                    return Ok(database);
                }
                Err(holder) => holder,
            };
            // A command stops its server when it is done, so that server is not used.
            let reached = if holder.is_command() { None } else { Some(reach(&connector).await) };
            match reached {
                Some(Ok(())) => {
                    return Ok(Self { connector, supervisor: None, is_new: false, _lock: None });
                }
                Some(Err(error)) if Instant::now() >= deadline => {
                    return Err(error).with_context(|| {
                        format!("{holder} runs the private PostgreSQL, which cannot be reached")
                    });
                }
                None if Instant::now() >= deadline => {
                    bail!("{holder} uses the private PostgreSQL and does not finish")
                }
                _ => sleep(lock::POLL_INTERVAL).await,
            }
        }
    }

    async fn run(
        home: Home,
        running: Lock,
        lock: Option<Lock>,
        listen: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let connector = Connector::direct(private(&home));
        let (cluster, is_new) = Cluster::prepare(home, listen).await?;
        // An upgrade takes long, so a short command leaves it to the service.
        let supervisor = Some(Supervisor::start(cluster, running, lock.is_some()));
        Ok(Self { connector, supervisor, is_new, _lock: lock })
    }

    /// Returns the connector, also before the server is up.
    #[must_use]
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// Returns `true` if the private cluster was just created, so it is empty.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Returns the connector's current options.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connector.options()
    }

    /// Waits without a limit until the database accepts connections, and logs why it does not. The
    /// only error is that the private server was stopped.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        if let Some(supervisor) = &self.supervisor {
            return supervisor.ready().await;
        }
        let mut retry = RETRY;
        while let Err(error) = reach(&self.connector).await {
            if retry.fail() {
                tracing::error!(%error, failures = retry.failures(), "cannot reach the database; retrying");
            }
            sleep(retry.wait()).await;
        }
        Ok(())
    }

    /// Signals the private server, if there is one, to stop, and does not wait. For a process that
    /// ends at once: otherwise the server would run until the next start takes over.
    pub fn signal_stop(&self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.signal_stop();
        }
    }

    /// Stops the private server, if there is one, and waits for its end. Call it last: all
    /// connections are closed.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.supervisor {
            Some(supervisor) => supervisor.stop().await,
            None => Ok(()),
        }
    }
}

/// Returns a connector for a standby's URL.
pub fn standby(url: &SecretString) -> anyhow::Result<Connector> {
    named(url, "VERBATIM_READ_DATABASE_URL").map(Connector::from)
}

/// Time limit of [`reach`]. A network that drops packets would block it for ever.
const REACH_DEADLINE: Duration = Duration::from_secs(10);

/// Checks that a connection can be opened.
async fn reach(connector: &Connector) -> anyhow::Result<()> {
    let connect = async { connector.connect().await?.close().await };
    match tokio::time::timeout(REACH_DEADLINE, connect).await {
        Ok(reached) => Ok(reached?),
        Err(_) => bail!("no answer within {} s", REACH_DEADLINE.as_secs()),
    }
}
