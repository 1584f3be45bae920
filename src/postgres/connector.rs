//! Connects to the database, and finds out once what stands between: a certificate that TLS cannot
//! use, a pooler that gives each transaction another connection.

use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::time::timeout;

use super::priority;

/// How often two connections are compared. Once is enough for a pooler without other clients; with
/// others it may happen to give each its earlier server connection again.
const COMPARISONS: usize = 3;
/// How long the second connection may take. A pooler keeps a client waiting that it has no server
/// connection for.
const SECOND_CONNECTION_DEADLINE: Duration = Duration::from_secs(5);
/// SQLSTATE of a server that does not let us in like this, such as without TLS.
const NOT_AUTHORIZED: &str = "28000";

/// How to connect to a database. Cheap to clone; clones share what was found out.
#[derive(Clone, Debug)]
pub struct Connector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: RwLock<PgConnectOptions>,
    /// Each connection is known to keep its server connection.
    is_checked: AtomicBool,
    /// The server is a process of ours.
    is_private: bool,
}

/// The pooler between us and the database mixes up clients.
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
    "a second connection gets no answer within {} s: where a pooler is between, raise its pool_size \
     (default_pool_size) to {} or more for each running service",
    SECOND_CONNECTION_DEADLINE.as_secs(),
    super::CONNECTIONS_OF_A_SERVICE
)]
struct NoSecondConnection;

/// TLS with the server is not possible.
#[derive(Debug, thiserror::Error)]
#[error(
    "the TLS handshake with the database failed: {0}. Replace the server's certificate by one of \
     X.509 version 3 with a current signature algorithm (openssl 3 makes such: `openssl req -x509 \
     -addext subjectAltName=DNS:HOST …`), or connect without TLS (sslmode=disable)"
)]
struct UnusableTls(String);

impl FromStr for Connector {
    type Err = sqlx::Error;

    /// From a URL such as `postgres://user@host/database`.
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
    /// For a server of our own, with nothing between.
    pub(super) fn direct(options: PgConnectOptions) -> Self {
        Self::with(options, true)
    }

    fn with(options: PgConnectOptions, is_direct: bool) -> Self {
        // PgBouncer refuses a start-up parameter that it does not know, such as the one that sqlx
        // sends on its own; what it sets is the default since PostgreSQL 12.
        let options = options.extra_float_digits(None).disable_statement_logging();
        Self(Arc::new(Shared {
            options: RwLock::new(options),
            is_checked: AtomicBool::new(is_direct),
            is_private: is_direct,
        }))
    }

    /// The options as they are known to work, once a connection was made.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.0.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens a connection that keeps its session.
    ///
    /// With `sslmode=prefer`, as libpq does, a server whose certificate cannot be used is connected
    /// to without TLS.
    pub async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.open().await?;
        self.check(&mut connection).await?;
        // Compiling a query takes longer than running it: PostgreSQL compiled what jobs ask every
        // second, anew each time, which took a fifth of a processor.
        sqlx::raw_sql("SET jit = off").execute(&mut connection).await?;
        Ok(connection)
    }

    /// Opens a connection for work that may wait. A private server gives it the processor after all
    /// else.
    pub async fn connect_for_background(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = self.connect().await?;
        if self.0.is_private {
            let process: i32 =
                sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
            priority::lower(process, priority::BACKGROUND);
        }
        Ok(connection)
    }

    /// Checks, once for all connections, that none shares its server connection with others.
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
            // The server insists on TLS.
            Err(sqlx::Error::Database(refused))
                if refused.code().is_some_and(|code| code == NOT_AUTHORIZED) =>
            {
                Err(unusable())
            }
            Err(error) => Err(error),
        }
    }
}

/// The reason that TLS was not possible; `None` where the connection failed for another one.
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

/// Two sessions that are open at one time have a server process each, and keep it. Where one has
/// both, or one of them has another than before, a pooler gives them out by the transaction.
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

/// The process that serves a connection, and its server's start: behind a balancer two servers may
/// have processes of one number. Sent unprepared, so that any pooler answers it.
async fn server_process(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::raw_sql(
        "SELECT pg_backend_pid()::text || ' ' || pg_postmaster_start_time()::text AS process",
    )
    .fetch_one(connection)
    .await?;
    row.try_get("process")
}
