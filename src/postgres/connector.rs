//! Connects to the database. The first connection checks for obstacles: a certificate that TLS
//! cannot use, or a pooler that gives each transaction another server connection.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::time::timeout;

use super::priority;

/// Limit of connections of one service: ten for queries, eight for reads by key, four for searches,
/// and one each for the drain, the direct write, the indexer, the facts, the health check, long
/// work and migrations.
pub const CONNECTIONS_OF_A_SERVICE: i64 = 29;
/// Comparisons of two connections. One finds a pooler without other clients; with others, the
/// pooler may assign the same server connections again.
const COMPARISONS: usize = 3;
/// Deadline for the second connection. A pooler makes a client wait until a server connection is
/// free.
const SECOND_CONNECTION_DEADLINE: Duration = Duration::from_secs(5);
/// SQLSTATE of a server that rejects this kind of connection, for example one without TLS.
const NOT_AUTHORIZED: &str = "28000";

/// Opens connections to a database. Cheap to clone; clones share what was detected.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: RwLock<PgConnectOptions>,
    /// Each connection is known to have its own server connection.
    is_checked: AtomicBool,
    /// The server is the private one.
    is_private: bool,
}

/// A pooler shares server connections between clients.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database is behind a pooler that does not keep a server connection for each client, as \
     PgBouncer with pool_mode = transaction or statement: prepared statements and settings of \
     different connections would be mixed up. Set pool_mode = session for this database or user, \
     or connect to PostgreSQL itself in DATABASE_URL"
)]
struct SharedServerConnections;

/// A pooler has no server connection left.
#[derive(Debug, thiserror::Error)]
#[error(
    "a second connection gets no answer within {} s: if there is a pooler, raise its pool_size \
     (default_pool_size) to {} or more for each running service",
    SECOND_CONNECTION_DEADLINE.as_secs(),
    CONNECTIONS_OF_A_SERVICE
)]
struct NoSecondConnection;

/// TLS with the server failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the TLS handshake with the database failed: {0}. Replace the server's certificate by one of \
     X.509 version 3 with a current signature algorithm (openssl 3 makes such: `openssl req -x509 \
     -addext subjectAltName=DNS:HOST …`), or connect without TLS (sslmode=disable)"
)]
struct UnusableTls(String);

impl FromStr for Connector {
    type Err = sqlx::Error;

    /// Parses a URL such as `postgres://user@host/database`.
    fn from_str(url: &str) -> Result<Self, sqlx::Error> {
        PgConnectOptions::from_str(url).map(Self::from)
    }
}

impl From<PgConnectOptions> for Connector {
    fn from(options: PgConnectOptions) -> Self {
        Self::with(options, false)
    }
}

impl Connector {
    /// Returns a connector for the private server, which needs no checks.
    pub(super) fn direct(options: PgConnectOptions) -> Self {
        Self::with(options, true)
    }

    fn with(options: PgConnectOptions, is_direct: bool) -> Self {
        // PgBouncer rejects unknown startup parameters, such as the one that sqlx sends by default.
        // Its value is the default since PostgreSQL 12.
        let options = options.extra_float_digits(None).disable_statement_logging();
        Self(Arc::new(Shared {
            options: RwLock::new(options),
            is_checked: AtomicBool::new(is_direct),
            is_private: is_direct,
        }))
    }

    /// Returns the options; after the first connection they are known to work.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.0.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a connection with its own session.
    ///
    /// With `sslmode=prefer`, as in libpq, it connects without TLS if the server's certificate
    /// cannot be used.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.open().await?;
        self.check(&mut connection).await?;
        // Compiling a query takes longer than running it. Recompiling the jobs' queries every
        // second took a fifth of a processor.
        sqlx::raw_sql("SET jit = off").execute(&mut connection).await?;
        Ok(connection)
    }

    /// Opens a connection for background work. A private server runs it at a lower priority.
    pub async fn connect_for_background(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.connect().await?;
        if self.0.is_private {
            let process: i32 =
                sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
            priority::lower(process, priority::BACKGROUND);
        }
        Ok(connection)
    }

    /// Checks, until it succeeds once, that connections do not share server connections.
    pub(super) async fn check(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.0.is_checked.load(Ordering::Relaxed) {
            return Ok(());
        }
        let compared = async {
            let mut second = self.open().await?;
            let shared = share_server_connections(connection, &mut second).await?;
            let _ = second.close().await;
            Ok::<_, sqlx::Error>(shared)
        };
        let compared = timeout(SECOND_CONNECTION_DEADLINE, compared).await;
        if compared.map_err(|_| sqlx::Error::Configuration(NoSecondConnection.into()))?? {
            return Err(sqlx::Error::Configuration(SharedServerConnections.into()));
        }
        self.0.is_checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn open(&self) -> Result<PgConnection, sqlx::Error> {
        let options = self.options();
        let error = match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        let Some(reason) = tls_failure(&error) else { return Err(error) };
        let unusable = || sqlx::Error::Configuration(UnusableTls(reason.clone()).into());
        if !matches!(options.get_ssl_mode(), PgSslMode::Prefer) {
            return Err(unusable());
        }
        let plain = options.ssl_mode(PgSslMode::Disable);
        match plain.connect().await {
            Ok(connection) => {
                tracing::warn!(
                    %reason,
                    "TLS handshake with the database failed; connected without TLS, as \
                     sslmode=prefer allows"
                );
                *self.0.options.write().unwrap_or_else(PoisonError::into_inner) = plain;
                Ok(connection)
            }
            // The server requires TLS.
            Err(sqlx::Error::Database(refused))
                if refused.code().is_some_and(|code| code == NOT_AUTHORIZED) =>
            {
                Err(unusable())
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the reason if TLS failed; `None` for any other error.
fn tls_failure(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Tls(error) => Some(error.to_string()),
        sqlx::Error::Io(error) => {
            let inner = error.get_ref()?;
            let is_tls = inner.is::<rustls::Error>()
                || inner.source().is_some_and(<dyn std::error::Error>::is::<rustls::Error>);
            is_tls.then(|| inner.to_string())
        }
        _ => None,
    }
}

/// Checks whether a pooler assigns server connections for each transaction. Two open sessions must
/// have different server processes and keep them.
async fn share_server_connections(
    first: &mut PgConnection,
    second: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let known = (server_process(first).await?, server_process(second).await?);
    if known.0 == known.1 {
        return Ok(true);
    }
    for _ in 1..COMPARISONS {
        let now = (server_process(first).await?, server_process(second).await?);
        if now != known {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the server process of a connection and the start of its server: two servers behind a
/// load balancer may use the same process id. The query is not prepared, so every pooler accepts
/// it.
async fn server_process(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::raw_sql(
        "SELECT pg_backend_pid()::text || ' ' || pg_postmaster_start_time()::text AS process",
    )
    .fetch_one(connection)
    .await?;
    row.try_get("process")
}
