//! Migrates a database's schema, and checks that the database is suitable.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection};

use super::Connector;
use super::binaries::OLDEST_MAJOR;

/// Migrations of this binary.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Result of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Version of the schema.
    pub version: i64,
    /// Descriptions of the applied migrations, the oldest first. Empty if there was nothing to
    /// apply.
    pub applied: Vec<String>,
}

/// State of the database's schema relative to this binary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaState {
    /// The database was not queried yet.
    #[default]
    Unchecked,
    /// The database cannot be queried, or is not suitable; the log says which.
    Unknown,
    /// It has all migrations of this binary.
    Current,
    /// It has no migration yet.
    Empty,
    /// Migrations are missing.
    Pending,
    /// It has migrations that this binary does not know.
    Newer,
    /// A migration differs from the one of this binary with the same number.
    Altered,
}

impl SchemaState {
    /// Returns the name in answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked | Self::Unknown => "unknown",
            Self::Current => "current",
            Self::Empty | Self::Pending => "pending",
            Self::Newer => "newer",
            Self::Altered => "altered",
        }
    }

    /// Returns the state that an error of [`migrate`] or [`check`] implies.
    #[must_use]
    pub fn of(error: &anyhow::Error) -> Self {
        match error.downcast_ref::<MigrateError>() {
            Some(MigrateError::VersionMissing(_)) => Self::Newer,
            Some(MigrateError::VersionMismatch(_)) => Self::Altered,
            _ => match error.downcast_ref::<MissingMigration>() {
                Some(MissingMigration { is_first: true, .. }) => Self::Empty,
                Some(_) => Self::Pending,
                None => Self::Unknown,
            },
        }
    }
}

/// A migration has not been applied.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database's schema lacks the migration {version} ({description}): run `verbatim migrate`, \
     or serve without --no-migrate"
)]
struct MissingMigration {
    version: i64,
    description: String,
    /// No migration was applied yet.
    is_first: bool,
}

/// Migrates the schema. If several processes do so at once, one migrates and the others wait.
///
/// Fails if the database is newer than this binary, was changed by hand, or has an encoding that
/// cannot store every script (see [`check`]).
pub async fn migrate(database: &(impl Clone + Into<Connector>)) -> anyhow::Result<Migrated> {
    let connector: Connector = database.clone().into();
    let connected = connector.connect().await.context("cannot connect to the database")?;
    let _ = connected.close().await;
    // A pool of one connection: a future that migrates over a bare connection cannot be spawned.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(connector.options()).await;
    let pool = pool.context("cannot connect to the database")?;
    let before = {
        let mut connection = pool.acquire().await?;
        check_connection(&mut connection).await?;
        applied(&mut connection).await?
    };
    MIGRATOR.run(&pool).await.map_err(explain)?;
    let version = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let applied = MIGRATOR
        .iter()
        .filter(|migration| !before.contains_key(&migration.version))
        .map(|migration| migration.description.to_string())
        .collect();
    pool.close().await;
    Ok(Migrated { version, applied })
}

/// Checks that the database is suitable and has exactly the migrations of this binary. Changes
/// nothing.
pub async fn check(database: &(impl Clone + Into<Connector>)) -> anyhow::Result<()> {
    let connector: Connector = database.clone().into();
    let mut connection = connector.connect().await.context("cannot connect to the database")?;
    check_connection(&mut connection).await?;
    let found = applied(&mut connection).await?;
    let _ = connection.close().await;
    for (version, checksum) in &found {
        match MIGRATOR.iter().find(|migration| migration.version == *version) {
            None => return Err(explain(MigrateError::VersionMissing(*version))),
            Some(ours) if *ours.checksum != **checksum => {
                return Err(explain(MigrateError::VersionMismatch(*version)));
            }
            Some(_) => {}
        }
    }
    match MIGRATOR.iter().find(|migration| !found.contains_key(&migration.version)) {
        None => Ok(()),
        Some(migration) => {
            let description = migration.description.to_string();
            let is_first = found.is_empty();
            Err(MissingMigration { version: migration.version, description, is_first }.into())
        }
    }
}

async fn check_connection(connection: &mut PgConnection) -> anyhow::Result<()> {
    let (version, encoding): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::integer,
                pg_encoding_to_char(encoding)::text
           FROM pg_database
          WHERE datname = current_database()",
    )
    .fetch_one(connection)
    .await
    .context("cannot read the database's settings")?;
    let major = version / 10_000;
    ensure!(
        major >= i32::try_from(OLDEST_MAJOR)?,
        "the database's PostgreSQL is version {major}, and {OLDEST_MAJOR} is the oldest that \
         works: upgrade it, or use another one"
    );
    ensure!(
        encoding == "UTF8",
        "the database's encoding is {encoding}, which cannot keep every script: make one with \
         `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`"
    );
    Ok(())
}

/// Returns the checksums of the applied migrations by version.
async fn applied(connection: &mut PgConnection) -> anyhow::Result<HashMap<i64, Vec<u8>>> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(HashMap::new());
    }
    let found: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().collect())
}

/// Adds advice to the error of a migration.
fn explain(error: MigrateError) -> anyhow::Error {
    let advice = match &error {
        MigrateError::VersionMissing(version) => format!(
            "the database has the migration {version}, which this verbatim does not know: a newer \
             verbatim has been here. Run that one or a newer one"
        ),
        MigrateError::VersionMismatch(version) => format!(
            "the migration {version} is not the one that the database was made with: a migration \
             never changes once it has been applied. Run an unaltered verbatim"
        ),
        _ => "cannot bring the database's schema up to date; nothing of the failed step was kept"
            .to_owned(),
    };
    anyhow::Error::new(error).context(advice)
}
