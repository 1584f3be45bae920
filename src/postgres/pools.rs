//! Pool of connections for reads. The drain does not use it: each of its workers owns a connection.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgPoolOptions};

use super::Connector;

/// Shared connections to Postgres.
pub type Pool = PgPool;

/// Connections for reads. A request holds one during a query only.
const READ_CONNECTIONS: u32 = 10;
/// Longest wait for a connection, after which the request is answered 503. sqlx's default of 30 s
/// is longer than callers wait.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a connection to a standby, after which the read uses the primary.
pub(super) const STANDBY_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// Idle connections are closed after this time: they use the server's memory.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// Age limit of a connection: after a failover it may still lead to the old primary.
const MAX_LIFETIME: Duration = Duration::from_mins(15);
/// A connection that was idle for longer is pinged before use. Others are not: the round trip takes
/// half of a read's time.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Settings of a session. Compiling a query takes longer than running it. A query that runs for
/// longer than the timeout is stuck, and its caller has gone. Each query is planned for its
/// parameters: a generic plan assumes that every filter leaves few rows, and so sorts thousands of
/// an agent's sessions instead of reading a page from their index. These are statements and not
/// connection options, since poolers reject unknown options.
const SESSION: &str = "SET jit = off; SET statement_timeout = '10s';
    SET plan_cache_mode = force_custom_plan";

/// Returns the pool of the read API. It connects on first use, so the server need not be up yet.
#[must_use]
pub fn read_pool(connector: impl Into<Connector>) -> PgPool {
    build(&connector.into(), ACQUIRE_TIMEOUT, |_| Box::pin(async { Ok(()) }))
}

/// Returns a pool for reads, whose new connections must pass a check.
pub(super) fn build<F>(connector: &Connector, acquire_timeout: Duration, check: F) -> PgPool
where
    F: Fn(&mut PgConnection) -> BoxFuture<'_, Result<(), sqlx::Error>>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let connector = connector.clone();
    let options = connector.options();
    PgPoolOptions::new()
        .max_connections(READ_CONNECTIONS)
        .acquire_timeout(acquire_timeout)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            async move {
                if about.idle_for > TRUSTED_IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            }
            .boxed()
        })
        .after_connect(move |connection, _| {
            let (connector, check) = (connector.clone(), check.clone());
            async move {
                connector.check(connection).await?;
                check(connection).await?;
                sqlx::raw_sql(SESSION).execute(connection).await.map(drop)
            }
            .boxed()
        })
        .connect_lazy_with(options)
}

/// Updates a pool's options with those that the connector has found to work.
pub fn follow(pool: &Pool, connector: &Connector) {
    pool.set_connect_options(connector.options());
}
