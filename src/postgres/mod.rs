//! The database: the user's own, or a private `PostgreSQL` that we run under the data folder.
//!
//! [`Database`] owns the private server's life and tells how to connect; what is in the database
//! is the business of `store`. The parts, from the machine up: `account` and `binaries` (what
//! there is), `home` (where things go), `lock` (who may), `cluster` (the files), `pidfile`, `server`
//! and `supervisor` (the process), `files` (its program, which a package manager replaces), `upgrade`
//! (to another major version), `log` (what it says), `listen` (TCP for readers); then `connector`,
//! `schema` and `pools` for any database, and `examine`, which looks and changes nothing.

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
use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::time::{Instant, sleep};

pub use connector::Connector;
pub use examine::{Access, Examination, Migrations, Place, PrivateCluster, examine, find};
pub use pools::{Pool, follow, read_pool};
pub use schema::{Migrated, SchemaState, check, migrate};
pub use standby::{
    Lsn, PrimaryPosition, StandbyPosition, StandbyRun, primary_position, standby_pool,
    standby_position,
};
pub use upgrade::{remove_old_clusters, upgrade_cluster};

use crate::config::{DatabaseSettings, Secret};
use cluster::Cluster;
use home::Home;
use lock::{Lock, Purpose};
use supervisor::Supervisor;

/// Connections that one service opens at most: ten for queries, eight for reads by key, four for
/// searches, and one each for the drain, the direct write, the indexer, the facts, the health check,
/// long work and migrations.
pub const CONNECTIONS_OF_A_SERVICE: i64 = 29;
/// How we call ourselves in `pg_stat_activity`.
const APPLICATION_NAME: &str = "verbatim";
/// The wait between two attempts to reach a database that is down; it doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// The database. Stop it when all that uses it is done: [`Database::stop`].
#[derive(Debug)]
pub struct Database {
    connector: Connector,
    /// The private server, where it is ours to run.
    supervisor: Option<Supervisor>,
    /// The private cluster was made just now.
    is_new: bool,
    /// Nobody else serves from this data folder.
    _lock: Option<Lock>,
}

impl Database {
    /// For `serve`: takes the data folder for this process, and without a URL starts the private
    /// server there. The server may take a while; [`Database::wait_ready`] tells.
    ///
    /// Fails on what waiting cannot heal: another process that serves from the folder, no server
    /// binaries or those of another major version, a folder that cannot be used.
    pub async fn open(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        settings.make_data_dir()?;
        // The inbox is in the folder too, so one process has it whatever the database is.
        let lock = Lock::take_to_serve(&settings.data_dir.join("verbatim.lock")).await?;
        if let Some(url) = &settings.url {
            let connector = external(url)?.into();
            return Ok(Self { connector, supervisor: None, is_new: false, _lock: Some(lock) });
        }
        let home = Home::prepare(&settings.data_dir, Path::new(home::ELSEWHERE))?;
        let running = Lock::take_to_serve(&home.lock()).await?;
        Self::run(home, running, Some(lock), settings.postgres_listen).await
    }

    /// For a command: a database that takes connections. A private server that runs is used; one
    /// that does not is started, and runs until [`Database::stop`].
    pub async fn attach(settings: &DatabaseSettings) -> anyhow::Result<Self> {
        if let Some(url) = &settings.url {
            let connector = Connector::from(external(url)?);
            // What is found out holds for the pools that are made next; whoever uses them first is
            // told what is wrong.
            let _ = reach(&connector).await;
            return Ok(Self { connector, supervisor: None, is_new: false, _lock: None });
        }
        settings.make_data_dir()?;
        let home = Home::prepare(&settings.data_dir, Path::new(home::ELSEWHERE))?;
        let connector = Connector::direct(private(&home));
        let deadline = Instant::now() + lock::COMMAND_LIMIT;
        loop {
            // The holder may go while we wait for its server, so both are tried in turn.
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
            // A command's server goes when the command is done, so it is not one to use.
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
                    bail!("{holder} uses the private PostgreSQL, and does not finish")
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
        // An upgrade takes long: a command that is soon done leaves it to the service.
        let supervisor = Some(Supervisor::start(cluster, running, lock.is_some()));
        Ok(Self { connector, supervisor, is_new, _lock: lock })
    }

    /// How to connect; known before the server is up.
    #[must_use]
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// The private cluster did not exist before: there is nothing in it yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The options of the connector as they are now.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connector.options()
    }

    /// Waits until the database takes connections, however long that takes, and logs what keeps
    /// it. The one error is that the private server was stopped.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        if let Some(supervisor) = &self.supervisor {
            return supervisor.ready().await;
        }
        let (mut retry, mut failures) = (FIRST_RETRY, 0_u32);
        while let Err(error) = reach(&self.connector).await {
            failures += 1;
            // An outage of an hour is one line at its start, and one now and then.
            if failures.is_power_of_two() {
                tracing::error!(%error, failures, "the database cannot be reached; trying again");
            }
            sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
        Ok(())
    }

    /// Tells the private server, if it is ours, to stop, and does not wait: for a process that ends
    /// at once. Without that it would run on until the next start takes it over.
    pub fn ask_to_stop(&self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.ask_to_stop();
        }
    }

    /// Stops the private server, if it is ours, and waits until it is gone. Call it last: what
    /// still uses the database loses it.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.supervisor {
            Some(supervisor) => supervisor.stop().await,
            None => Ok(()),
        }
    }
}

/// How to connect to a standby by its URL.
pub fn standby(url: &Secret) -> anyhow::Result<Connector> {
    named(url, "VERBATIM_READ_DATABASE_URL").map(Connector::from)
}

/// The options of a database of the user's.
fn external(url: &Secret) -> anyhow::Result<PgConnectOptions> {
    named(url, "DATABASE_URL")
}

/// The options of a URL that a setting has.
fn named(url: &Secret, setting: &str) -> anyhow::Result<PgConnectOptions> {
    // The parser's message does not quote the URL, which holds a password.
    let options = PgConnectOptions::from_str(url.expose()).with_context(|| {
        format!("{setting} is not a URL such as postgres://user:password@host:5432/database")
    })?;
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name(APPLICATION_NAME),
    })
}

/// The options of the private database.
fn private(home: &Home) -> PgConnectOptions {
    // The environment's PG… variables are meant for another database: all that matter are set.
    PgConnectOptions::new_without_pgpass()
        .socket(home.socket_folder())
        .port(5432)
        .username(cluster::NAME)
        .database(cluster::NAME)
        .ssl_mode(PgSslMode::Disable)
        .application_name(APPLICATION_NAME)
}

/// How long that may take: where the network swallows everything there would be no end to it.
const REACH_DEADLINE: Duration = Duration::from_secs(10);

/// Connects once, to see whether it can be done.
async fn reach(connector: &Connector) -> anyhow::Result<()> {
    let connect = async { connector.connect().await?.close().await };
    match tokio::time::timeout(REACH_DEADLINE, connect).await {
        Ok(reached) => Ok(reached?),
        Err(_) => bail!("no answer within {} s", REACH_DEADLINE.as_secs()),
    }
}
