//! One connection, its owner, and how long anything on it may take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::attempts::Attempts;
use super::failure::{self, Fault};
use super::write;
use crate::decode::Received;
use crate::domain::Roles;
use crate::postgres::Connector;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{DrainFailure, Way};

/// How long it may take to connect.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long Postgres waits for the next statement of a transaction before it undoes it. Ours follow
/// each other at once. Where the network swallows us in between, the locks of what was begun would
/// stay for as long as Postgres believes in the connection, which is hours, and every further
/// attempt would wait for them.
const ABANDONED_AFTER: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// A connection that is made when it is needed and dropped when anything is doubtful.
#[derive(Debug)]
pub(super) struct Connection {
    connector: Connector,
    roles: Roles,
    metrics: Arc<Metrics>,
    way: Way,
    open: Option<PgConnection>,
    attempts: Attempts,
}

/// A batch was not written, or its outcome is not known. Writes are idempotent: do it again.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteFailed {
    /// Postgres, or the way to it.
    #[error("Postgres did not take a batch")]
    Database(#[from] sqlx::Error),
    /// No answer in time.
    #[error("Postgres did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
}

impl Connection {
    pub(super) fn new(
        connector: Connector,
        roles: Roles,
        metrics: Arc<Metrics>,
        way: Way,
        attempts: Attempts,
    ) -> Self {
        Self { connector, roles, metrics, way, open: None, attempts }
    }

    /// Connects, if that is possible now; a write connects where it was not.
    pub(super) async fn open_ahead(&mut self) {
        if self.open.is_none() {
            self.open = connect(&self.connector).await.ok();
        }
    }

    /// Writes a batch; what Postgres refuses for its data goes to quarantine.
    ///
    /// The connection is out of `self` while it works, so that wherever the future is dropped, at
    /// the deadline or with its task, the connection goes with it: a connection whose transaction
    /// was cancelled may swallow later writes.
    pub(super) async fn write(
        &mut self,
        deliveries: &[&Received],
        deadline: Duration,
    ) -> Result<(), WriteFailed> {
        let started = Instant::now();
        let open = self.open.take();
        let (connector, roles, drain) = (&self.connector, &self.roles, &self.metrics.drain);
        let work = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => connect(connector).await?,
            };
            write::batch(&mut connection, deliveries, roles, drain).await?;
            Ok::<_, WriteFailed>(connection)
        };
        let worked = tokio::time::timeout(deadline, work).await;
        let worked = worked.unwrap_or(Err(WriteFailed::Deadline(deadline)));
        let series = drain.way(self.way);
        self.attempts.record(self.way, worked.is_err());
        match worked {
            Ok(connection) => {
                self.open = Some(connection);
                series.wrote(deliveries.len(), started.elapsed());
                Ok(())
            }
            Err(failed) => {
                series.failed(match failed {
                    WriteFailed::Database(_) => DrainFailure::Database,
                    WriteFailed::Deadline(_) => DrainFailure::Deadline,
                });
                Err(failed)
            }
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.open.take() {
            // Postgres notices by itself where the farewell does not reach it.
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
        }
    }
}

async fn connect(connector: &Connector) -> Result<PgConnection, WriteFailed> {
    let connect = async {
        let mut connection = connector.connect().await?;
        sqlx::raw_sql(ABANDONED_AFTER).execute(&mut connection).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    match tokio::time::timeout(CONNECT_DEADLINE, connect).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(WriteFailed::Deadline(CONNECT_DEADLINE)),
    }
}

/// Whether a failed write is one delivery's fault.
pub(super) fn is_data_fault(error: &sqlx::Error) -> bool {
    failure::of(error) == Fault::Data
}
