//! Error of the store.

use super::sqlstate;

/// Error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is down, restarting, full, read-only, out of connections, or has no schema.
    #[error("database unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database rejected a query: a fault of Verbatim.
    #[error("database rejected a query")]
    Refused(#[source] sqlx::Error),
    /// The query was not run: it would compute from too many facts.
    #[error("too many facts to compute figures: {facts}")]
    TooExpensive {
        /// Messages or sessions to compute from.
        facts: i64,
        /// Most facts that an answer is computed from.
        most: i64,
    },
}

impl StoreError {
    /// Returns the error of a query without a timely answer.
    pub(crate) fn late() -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
    }

    /// Returns a hint for the log.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let (Self::Unavailable(cause) | Self::Refused(cause)) = self else { return None };
        sqlstate::hint(&cause.as_database_error()?.code()?)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error;
        let unavailable = match &error {
            Error::Database(database) => sqlstate::is_state(database.as_ref()),
            Error::Io(_)
            | Error::Tls(_)
            | Error::Protocol(_)
            | Error::Configuration(_)
            | Error::PoolTimedOut
            | Error::PoolClosed
            | Error::WorkerCrashed => true,
            _ => false,
        };
        if unavailable { Self::Unavailable(error) } else { Self::Refused(error) }
    }
}
