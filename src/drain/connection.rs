//! One connection, its owner, and how long anything on it may take.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::watch;

use super::failure::{self, Fault};
use super::write;
use crate::decode::Received;

/// How long it may take to connect.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that is made when it is needed and dropped when anything is doubtful.
#[derive(Debug)]
pub(super) struct Connection {
    options: PgConnectOptions,
    open: Option<PgConnection>,
    /// Ticks after each commit, for whoever follows along: a hint and no more.
    committed: watch::Sender<()>,
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
    pub(super) fn new(options: PgConnectOptions, committed: watch::Sender<()>) -> Self {
        Self { options: options.disable_statement_logging(), open: None, committed }
    }

    /// Connects, if that is possible now; a write connects where it was not.
    pub(super) async fn open_ahead(&mut self) {
        if self.open.is_none() {
            self.open = connect(&self.options).await.ok();
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
        let open = self.open.take();
        let options = &self.options;
        let work = async {
            let mut connection = match open {
                Some(connection) => connection,
                None => connect(options).await?,
            };
            write::batch(&mut connection, deliveries).await?;
            Ok::<_, WriteFailed>(connection)
        };
        match tokio::time::timeout(deadline, work).await {
            Ok(Ok(connection)) => {
                self.open = Some(connection);
                self.committed.send_replace(());
                Ok(())
            }
            Ok(Err(failed)) => Err(failed),
            Err(_) => Err(WriteFailed::Deadline(deadline)),
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(connection) = self.open.take() {
            // Postgres notices by itself where the farewell does not reach it.
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
        }
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, WriteFailed> {
    match tokio::time::timeout(CONNECT_DEADLINE, options.connect()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(WriteFailed::Deadline(CONNECT_DEADLINE)),
    }
}

/// Whether a failed write is one delivery's fault.
pub(super) fn is_data_fault(error: &sqlx::Error) -> bool {
    failure::of(error) == Fault::Data
}
