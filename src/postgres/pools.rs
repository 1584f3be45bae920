//! The pool that answers are read through. The drain does not use it: each of its workers owns a
//! connection.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgPoolOptions};

use super::Connector;

/// Connections to Postgres that are shared.
pub type Pool = PgPool;

/// Connections for reading; a request holds one for a query, not for its life.
const READ_CONNECTIONS: u32 = 10;
/// How long a request waits for a connection before it is answered 503: sqlx's own 30 s is longer
/// than callers wait for us.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// The same for a standby: a read that gets no connection to it goes to the primary.
pub(super) const STANDBY_ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// An idle connection costs the server memory.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// After a failover a connection may still lead to the old primary: none grows older than this.
const MAX_LIFETIME: Duration = Duration::from_mins(15);
/// A connection that lay idle for longer is asked whether it still lives before it is used. Busy
/// ones are not: the question costs a round trip, which is half of what a read takes.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How a session is set up. Compiling a query costs more than any of ours runs for. A query that
/// runs for longer than this is stuck, and whoever asked has gone. And each is planned for what is
/// asked: a plan for whatever may be asked takes every filter to leave next to nothing, and so
/// sorts all the thousands of an agent's sessions rather than walk along their index to a page's
/// end. Said in SQL and not at connecting, since poolers refuse parameters that they do not know.
const SESSION: &str = "SET jit = off; SET statement_timeout = '10s';
    SET plan_cache_mode = force_custom_plan";

/// The pool that the API reads through. It connects when it is first used, so the server need not
/// be up yet.
#[must_use]
pub fn read_pool(connector: impl Into<Connector>) -> PgPool {
    build(&connector.into(), ACQUIRE_TIMEOUT, |_| Box::pin(async { Ok(()) }))
}

/// A pool for reading, whose new connections must pass a check.
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

/// Has a pool connect as the connector has found out that it can.
pub fn follow(pool: &Pool, connector: &Connector) {
    pool.set_connect_options(connector.options());
}
