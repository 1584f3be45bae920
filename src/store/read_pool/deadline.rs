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

/// Executor of one query. After an error the connection must be closed.
#[derive(Debug)]
pub(in crate::store) struct WithDeadline<'c>(pub(super) &'c mut PgConnection);

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
        let rows = self.0.fetch_many(query);
        stream::try_unfold(rows, move |mut rows| async move {
            let next = timeout_at(deadline, rows.try_next()).await.map_err(|_| no_answer())??;
            Ok(next.map(|row| (row, rows)))
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
        let row = self.0.fetch_optional(query);
        async move { timeout(MAX_QUERY, row).await.map_err(|_| no_answer())? }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let prepared = self.0.prepare_with(sql, parameters);
        async move { timeout(MAX_QUERY, prepared).await.map_err(|_| no_answer())? }.boxed()
    }

    // Hidden, and called by the macros at compile time only.
    fn describe<'e>(
        self,
        sql: SqlStr,
    ) -> BoxFuture<'e, Result<sqlx::Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        self.0.describe(sql)
    }
}
