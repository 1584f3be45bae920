//! The two servers of an upgrade: the old one, which is read only, and the new one, which is
//! filled.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context as _, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::process::Command;

use super::super::cluster::Cluster;
use super::super::home::{Home, SOCKET_PORT};
use super::super::options::private;
use super::super::server::Server;
use super::super::{Connector, pidfile};

/// Candidate ports for the new server's socket: at least one differs from the old server's.
const PORTS: [u16; 2] = [5431, 5430];

/// Settings of the new server while it is filled. Its data counts only once it is complete, and is
/// synced then. So there is no sync before, and no log beyond what copying into an empty table
/// needs.
const WHILE_FILLED: [&str; 12] = [
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "autovacuum=off",
    "maintenance_work_mem=128MB",
    "jit=off",
    "timezone=UTC",
    "max_connections=10",
    "shared_preload_libraries=",
];

/// Session settings that make the output of both servers comparable.
const SESSION: &str =
    "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
    SET extra_float_digits = 1; SET bytea_output = 'hex'; SET search_path = '';
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET jit = off";

/// Server with its connector.
pub(super) struct Side {
    server: Server,
    folder: PathBuf,
    connector: Connector,
}

impl Side {
    /// Starts the old server at its place, so that reads continue. It accepts no writes: the copied
    /// data does not change, and the drain waits.
    pub(super) async fn old(cluster: &Cluster, running: &AtomicI32) -> anyhow::Result<Self> {
        let folder = cluster.home.cluster();
        pidfile::stop_leftover_server(&folder).await?;
        let listen = cluster.prepare_to_listen().await;
        let port = listen.map_or(SOCKET_PORT, |listen| listen.address.port());
        cluster.home.prepare_socket(&cluster.account, port)?;
        let mut command = cluster.server(listen);
        command.args(["-c", "default_transaction_read_only=on", "-c", "autovacuum=off"]);
        let server = Server::spawn(command, cluster.home.log())?;
        running.store(server.pid().map_or(0, u32::cast_signed), Ordering::Relaxed);
        let connector = Connector::direct(private(&cluster.home));
        let mut side = Self { server, folder, connector };
        side.server.ready(&side.folder).await.context("the old server does not start")?;
        Ok(side)
    }

    /// Starts the new server on its folder, to be filled.
    pub(super) async fn new(cluster: &Cluster) -> anyhow::Result<Self> {
        Self::at_next_folder(cluster, &WHILE_FILLED).await
    }

    /// Starts the new server with the configuration that it will have.
    pub(super) async fn trial(cluster: &Cluster) -> anyhow::Result<Self> {
        Self::at_next_folder(cluster, &[]).await
    }

    async fn at_next_folder(cluster: &Cluster, settings: &[&str]) -> anyhow::Result<Self> {
        let (home, folder) = (&cluster.home, cluster.home.next_cluster());
        pidfile::stop_leftover_server(&folder).await?;
        let port = port_beside(cluster);
        let mut command = cluster.server_at(&folder);
        command.args(["-c", "listen_addresses=", "-c", &format!("port={port}")]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let server = Server::spawn(command, home.path().join("postgres-next.log"))?;
        let options: PgConnectOptions = private(home).port(port);
        let connector = Connector::direct(options);
        let mut side = Self { server, folder, connector };
        side.server.ready(&side.folder).await.context("the new server does not start")?;
        Ok(side)
    }

    pub(super) fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// Waits for an unexpected end.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        self.server.ended().await
    }

    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.server.stop().await
    }
}

/// Opens a connection whose output does not depend on the server version.
pub(super) async fn connect(connector: &Connector) -> sqlx::Result<PgConnection> {
    let mut connection = connector.connect().await?;
    sqlx::raw_sql(SESSION).execute(&mut connection).await?;
    Ok(connection)
}

fn port_beside(cluster: &Cluster) -> u16 {
    let taken = cluster.listen.map(|address| address.port());
    PORTS.into_iter().find(|port| taken != Some(*port)).unwrap_or(PORTS[0])
}

/// Creates an empty cluster in the next folder, atomically.
pub(super) async fn make_next(cluster: &Cluster) -> anyhow::Result<()> {
    remove_next(&cluster.home).await?;
    cluster.initialise(&cluster.home.next_cluster()).await.context("cannot create the new cluster")
}

/// Removes the next folder, and stops a server that runs there.
pub(super) async fn remove_next(home: &Home) -> anyhow::Result<()> {
    let folder = home.next_cluster();
    if !folder.exists() {
        return Ok(());
    }
    pidfile::stop_leftover_server(&folder).await?;
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Syncs a stopped cluster to the disk.
pub(super) async fn sync(cluster: &Cluster, folder: &Path) -> anyhow::Result<()> {
    let mut command = Command::from(cluster.account.command(&cluster.binaries.initdb()));
    let output = command.arg("--sync-only").arg("-D").arg(folder).output().await?;
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.success(), "cannot sync {}: {message}", folder.display());
    Ok(())
}
