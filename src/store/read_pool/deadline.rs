//! Connection with a deadline for each query. Postgres cancels slow queries; the deadline covers a
//! Postgres that does not answer, for example when the network drops its packets.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Either, Execute, Executor, Postgres, SqlStr};
use tokio::time::{Instant, timeout, timeout_at};

/// Longer than the server's statement timeout, whose error has more detail.
pub(super) const MAX_QUERY: Duration = Duration::from_secs(12);

/// Executor of one query.
#[derive(Debug)]
pub(in crate::store) struct WithDeadline<'c> {
    pub(super) connection: &'c mut PgConnection,
    /// Becomes `false` with the start of the query, and `true` when it has ended well.
    pub(super) is_idle: &'c mut bool,
}

/// Returns the error of a query without an answer, which counts as unavailable.
pub(super) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

impl<'c> Executor<'c> for WithDeadline<'c> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let deadline = Instant::now() + MAX_QUERY;
        let Self { connection, is_idle } = self;
        *is_idle = false;
        let state = (connection.fetch_many(query), is_idle);
        stream::try_unfold(state, move |(mut rows, is_idle)| async move {
            let next = timeout_at(deadline, rows.try_next()).await.map_err(|_| no_answer())??;
            *is_idle = next.is_none();
            Ok(next.map(|row| (row, (rows, is_idle))))
        })
        .boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let Self { connection, is_idle } = self;
        *is_idle = false;
        let row = connection.fetch_optional(query);
        async move {
            let row = timeout(MAX_QUERY, row).await.map_err(|_| no_answer())??;
            *is_idle = true;
            Ok(row)
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let Self { connection, is_idle } = self;
        *is_idle = false;
        let prepared = connection.prepare_with(sql, parameters);
        async move {
            let prepared = timeout(MAX_QUERY, prepared).await.map_err(|_| no_answer())??;
            *is_idle = true;
            Ok(prepared)
        }
        .boxed()
    }

    // Hidden, and called by the macros at compile time only.
    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}
