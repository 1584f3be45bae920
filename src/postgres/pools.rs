//! Pools of connections. The drain is not here: each of its workers owns its one connection.

use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};

/// Connections for reading; a request holds one for a query, not for its life.
const READ_CONNECTIONS: u32 = 10;
/// How long a request waits for a connection before it is answered 503: sqlx's own 30 s is longer
/// than callers wait for us.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a query may run; whoever asked has gone by then.
const STATEMENT_TIMEOUT: &str = "10s";
/// An idle connection costs the server memory.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// After a failover a connection may still lead to the old primary: none grows older than this.
const MAX_LIFETIME: Duration = Duration::from_mins(15);
/// A connection that lay idle for longer is asked whether it still lives before it is used. Busy
/// ones are not: the question is a round trip, as much again as a read takes.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// The pool that the API reads through. It connects when it is first used, so the server need not
/// be up yet.
#[must_use]
pub fn read_pool(options: PgConnectOptions) -> PgPool {
    // Compiling a query takes longer than any of ours runs for.
    let options = options.options([("statement_timeout", STATEMENT_TIMEOUT), ("jit", "off")]);
    PgPoolOptions::new()
        .max_connections(READ_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(MAX_LIFETIME)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            async move {
                if about.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            }
            .boxed()
        })
        .connect_lazy_with(options)
}
