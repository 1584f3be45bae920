//! The connection of one writer, with deadlines for every use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use super::attempts::Attempts;
use super::write;
use crate::decode::Received;
use crate::domain::Roles;
use crate::postgres::Connector;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{DrainFailure, WritePath};

/// Longest time to connect.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// Makes Postgres roll back a transaction that is idle for 10 s; the drain sends statements without
/// a pause. Without it a network failure within a transaction would keep its locks until Postgres
/// notices, which takes hours, and every retry would wait for them.
const ABANDONED_AFTER: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Connection that is opened when it is needed, and dropped after any failure.
#[derive(Debug)]
pub(super) struct Connection {
    connector: Connector,
    roles: Roles,
    metrics: Arc<Metrics>,
    way: WritePath,
    open: Option<PgConnection>,
    attempts: Attempts,
}

/// A batch was not written, or its outcome is unknown. Writes are idempotent: retry.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteFailed {
    /// Error of Postgres or of the connection.
    #[error("Postgres did not store a batch")]
    Database(#[from] sqlx::Error),
    /// No answer within the deadline.
    #[error("Postgres did not answer within {} s", .0.as_secs())]
    Deadline(Duration),
}

impl Connection {
    pub(super) fn new(
        connector: Connector,
        roles: Roles,
        metrics: Arc<Metrics>,
        way: WritePath,
        attempts: Attempts,
    ) -> Self {
        Self { connector, roles, metrics, way, open: None, attempts }
    }

    /// Tries to connect ahead of the first write. After a failure the write connects.
    pub(super) async fn open_ahead(&mut self) {
        if self.open.is_none() {
            self.open = connect(&self.connector).await.ok();
        }
    }

    /// Writes a batch. Deliveries whose data Postgres refuses go to quarantine.
    ///
    /// The connection is moved out of `self` for the write. So it is dropped if the future is
    /// dropped, at the deadline or with its task: a connection whose transaction was cancelled may
    /// lose later writes.
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
            // Without the closing message Postgres detects the end of the connection.
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
