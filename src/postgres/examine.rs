//! Read-only examination of the database for `verbatim doctor`: it starts no server, creates no
//! folder and writes no row.

use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use nix::unistd::Pid;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::account::Account;
use super::binaries::{Binaries, OLDEST_MAJOR};
use super::home::Home;
use super::options::{external, private};
use super::schema::MIGRATOR;
use super::{Connector, cluster, pidfile};
use crate::clock::Clock;
use crate::config::DatabaseSettings;

/// Location of the database.
#[derive(Debug)]
pub enum Place {
    /// External database.
    External(Connector),
    /// Private database that the first start will create with this server.
    NotMade(String),
    /// Private database.
    Private(PrivateCluster),
}

/// Private cluster on disk.
#[derive(Debug)]
pub struct PrivateCluster {
    /// Folder of the files.
    pub folder: PathBuf,
    /// Server for it, for example `PostgreSQL 17.5 in /usr/lib/postgresql/17/bin`.
    pub server: String,
    /// Process that runs it.
    pub process: Option<Pid>,
    /// Connector for a running server.
    pub connector: Connector,
}

/// Finds the database. The error for a private one that cannot start says what to do.
pub fn find(settings: &DatabaseSettings) -> anyhow::Result<Place> {
    if let Some(url) = &settings.url {
        return external(url).map(|options| Place::External(options.into()));
    }
    let there = settings.data_dir.join("postgres");
    let home = match there.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        _ => Some(Home::existing(&settings.data_dir)?),
    };
    let Some(home) = home.filter(|home| home.cluster().exists()) else {
        let server = Binaries::find(&Account::choose()?, None)?;
        return Ok(Place::NotMade(server.to_string()));
    };
    let folder = home.cluster();
    let account = Account::of_cluster(&folder)?;
    let server = Binaries::find(&account, Some(cluster::major_of(&folder)?))?.to_string();
    let process = pidfile::running(&folder)?;
    let connector = Connector::direct(private(&home));
    Ok(Place::Private(PrivateCluster { folder, server, process, connector }))
}

/// Privileges of a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No role can write: the server is a standby, or replays its log.
    Standby,
    /// Transactions are read-only.
    ReadOnly,
    /// The role lacks privileges on some table.
    TooLittle,
    /// The role can read and write every existing table.
    Writes {
        /// It can create tables, as migrations do.
        may_create: bool,
        /// It owns the tables, so it can create partitions of them.
        owns_tables: bool,
    },
}

/// State of a database's migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Migrations {
    /// No migration was applied.
    None,
    /// The role cannot read them.
    Hidden,
    /// This many migrations of this binary are missing.
    Behind(usize),
    /// All were applied; the newest has this version.
    Current(i64),
    /// This one is unknown: a newer binary applied it.
    Newer(i64),
    /// This one was changed after it had been applied, or was applied only in part.
    Altered(i64),
}

/// Result of an examination.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Version, for example `17.5`.
    pub version: String,
    /// The version is supported.
    pub suits: bool,
    /// Encoding, for example `UTF8`.
    pub encoding: String,
    /// Current role.
    pub role: String,
    /// Privileges of that role.
    pub access: Access,
    /// State of its migrations.
    pub migrations: Migrations,
    /// Connections that are free for a role without privileges.
    pub free_connections: i64,
    /// Limit of connections.
    pub max_connections: i64,
    /// Difference of its clock to ours; positive if it is ahead.
    pub clock_ahead: TimeDelta,
}

/// Examines a database.
pub async fn examine(connector: &Connector, clock: &Clock) -> anyhow::Result<Examination> {
    let mut connection = connector.connect().await.context("cannot connect")?;
    let examined = query(&mut connection, clock).await;
    let _ = connection.close().await;
    examined
}

async fn query(connection: &mut PgConnection, clock: &Clock) -> anyhow::Result<Examination> {
    let (number, version): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer,
                split_part(current_setting('server_version'), ' ', 1)",
    )
    .fetch_one(&mut *connection)
    .await?;
    let suits = number / 10_000 >= i32::try_from(OLDEST_MAJOR)?;
    let encoding: String = sqlx::query_scalar(
        "SELECT pg_encoding_to_char(encoding)::text
           FROM pg_database
          WHERE datname = current_database()",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (role, access) = access(connection).await?;
    let (max_connections, free_connections) = connections(connection).await?;
    Ok(Examination {
        version,
        suits,
        encoding,
        role,
        access,
        migrations: migrations(connection).await?,
        free_connections,
        max_connections,
        clock_ahead: clock_ahead(connection, clock).await?,
    })
}

async fn access(connection: &mut PgConnection) -> Result<(String, Access), sqlx::Error> {
    let (role, standby, read_only): (String, bool, bool) = sqlx::query_as(
        "SELECT current_user::text,
                pg_is_in_recovery(),
                current_setting('transaction_read_only') = 'on'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let (may_write, owns_tables, may_create): (bool, bool, bool) = sqlx::query_as(
        "SELECT coalesce(bool_and(
                    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
                    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
                ), true),
                coalesce(bool_and(pg_has_role(relowner, 'USAGE')), true),
                coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
           FROM pg_class
          WHERE relkind IN ('r', 'p')
            AND relname <> '_sqlx_migrations'
            AND relnamespace = to_regnamespace(current_schema())",
    )
    .fetch_one(connection)
    .await?;
    let access = match (standby, read_only, may_write) {
        (true, ..) => Access::Standby,
        (false, true, _) => Access::ReadOnly,
        (false, false, false) => Access::TooLittle,
        (false, false, true) => Access::Writes { may_create, owns_tables },
    };
    Ok((role, access))
}

/// Returns the limit of connections, and those that are free for a role without privileges.
async fn connections(connection: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "SELECT max, max - reserved - used
           FROM (
                SELECT current_setting('max_connections')::bigint AS max,
                       current_setting('superuser_reserved_connections')::bigint
                           + coalesce(current_setting('reserved_connections', true), '0')::bigint
                           AS reserved,
                       (SELECT sum(numbackends) FROM pg_stat_database)::bigint AS used
           ) AS counts",
    )
    .fetch_one(connection)
    .await
}

/// Measures the clock's difference. The server's time is compared with the middle between query and
/// result.
async fn clock_ahead(
    connection: &mut PgConnection,
    clock: &Clock,
) -> Result<TimeDelta, sqlx::Error> {
    let sent_at = clock.now();
    let theirs: DateTime<Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(connection).await?;
    let received_at = clock.now();
    Ok(theirs - (sent_at + (received_at - sent_at) / 2))
}

async fn migrations(connection: &mut PgConnection) -> Result<Migrations, sqlx::Error> {
    let (there, may_read): (bool, bool) = sqlx::query_as(
        "SELECT ours IS NOT NULL, coalesce(has_table_privilege(ours, 'SELECT'), false)
           FROM to_regclass('_sqlx_migrations') AS ours",
    )
    .fetch_one(&mut *connection)
    .await?;
    match (there, may_read) {
        (false, _) => Ok(Migrations::None),
        (true, false) => Ok(Migrations::Hidden),
        (true, true) => {
            let applied: Vec<(i64, bool, Vec<u8>)> = sqlx::query_as(
                "SELECT version, success, checksum FROM _sqlx_migrations ORDER BY version",
            )
            .fetch_all(connection)
            .await?;
            Ok(compare(&applied))
        }
    }
}

/// Compares the applied migrations with ours. Each has its version, whether it was applied
/// completely, and its checksum; the oldest is first.
fn compare(applied: &[(i64, bool, Vec<u8>)]) -> Migrations {
    let ours = |version: i64| MIGRATOR.iter().find(|migration| migration.version == version);
    let is_altered = |version: i64, whole: bool, checksum: &[u8]| {
        !whole || ours(version).is_some_and(|migration| *migration.checksum != *checksum)
    };
    if let Some((newest, ..)) = applied.iter().rfind(|(version, ..)| ours(*version).is_none()) {
        return Migrations::Newer(*newest);
    }
    let altered = applied.iter().find(|(version, whole, sum)| is_altered(*version, *whole, sum));
    if let Some((version, ..)) = altered {
        return Migrations::Altered(*version);
    }
    match (MIGRATOR.iter().count() - applied.len(), applied.last()) {
        (_, None) => Migrations::None,
        (0, Some((version, ..))) => Migrations::Current(*version),
        (missing, _) => Migrations::Behind(missing),
    }
}
