//! Database health: checks at intervals if Postgres is reachable and accepts writes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;

/// Interval of the checks.
const INTERVAL: Duration = Duration::from_secs(2);
/// Limit of a check.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Health of Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseHealth {
    /// It answered the last check.
    pub reachable: bool,
    /// Its transactions are read-only: it is a standby, or configured so.
    pub read_only: bool,
    /// Time since which it is reachable or not; `None` before the first check.
    pub since: Option<DateTime<Utc>>,
}

/// Result of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// No answer in time, or an error.
    Missing,
    /// It does not accept writes.
    ReadOnly,
    /// It accepts writes.
    Writable,
}

/// Health check over a separate connection: a busy pool must not appear as an unreachable database.
#[derive(Debug)]
pub struct Probe {
    connector: Connector,
    open: Option<PgConnection>,
}

impl Probe {
    /// Creates a probe, which connects with its first check.
    #[must_use]
    pub fn new(connector: impl Into<Connector>) -> Self {
        Self { connector: connector.into(), open: None }
    }

    /// Checks Postgres once. If an open connection fails, tries a new one.
    pub async fn check(&mut self) -> Answer {
        let open = self.open.take();
        let checked = tokio::time::timeout(TIMEOUT, check(open, &self.connector)).await;
        match checked {
            Ok(Ok((connection, answer))) => {
                // A read-only setting often affects new connections only, so reconnect.
                self.open = (answer == Answer::Writable).then_some(connection);
                answer
            }
            Ok(Err(_)) | Err(_) => Answer::Missing,
        }
    }
}

/// Checks over the open connection, or else over a new one; returns the connection.
async fn check(
    open: Option<PgConnection>,
    connector: &Connector,
) -> Result<(PgConnection, Answer), sqlx::Error> {
    if let Some(mut connection) = open
        && let Ok(answer) = query_read_only(&mut connection).await
    {
        return Ok((connection, answer));
    }
    let mut connection = connector.connect().await?;
    let answer = query_read_only(&mut connection).await?;
    Ok((connection, answer))
}

async fn query_read_only(connection: &mut PgConnection) -> Result<Answer, sqlx::Error> {
    let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection).await?;
    let read_only: String = row.try_get(0)?;
    Ok(if read_only == "on" { Answer::ReadOnly } else { Answer::Writable })
}

/// Runs checks until the service stops.
pub async fn run(
    connector: Connector,
    clock: Clock,
    database_health: watch::Sender<DatabaseHealth>,
    life: Lifecycle,
) {
    let mut probe = Probe::new(connector);
    while !life.is_stopping() {
        update(&database_health, probe.check().await, &clock);
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

fn update(database_health: &watch::Sender<DatabaseHealth>, answer: Answer, clock: &Clock) {
    let (reachable, read_only) = (answer != Answer::Missing, answer == Answer::ReadOnly);
    database_health.send_if_modified(|database_health| {
        let changed = database_health.since.is_none() || database_health.reachable != reachable;
        if reachable && database_health.read_only != read_only {
            if read_only {
                tracing::warn!(
                    "Postgres is read-only; the inbox stores deliveries. Connect to the primary, \
                     or check default_transaction_read_only"
                );
            } else {
                tracing::info!("Postgres accepts writes again");
            }
            database_health.read_only = read_only;
        }
        if changed {
            match (reachable, database_health.since) {
                (false, Some(_)) => {
                    tracing::warn!("Postgres does not answer; the inbox stores deliveries");
                }
                (true, Some(_)) => tracing::info!("Postgres answers again"),
                // The first result is not logged: the start logs its own waiting.
                (_, None) => {}
            }
            *database_health =
                DatabaseHealth { reachable, since: Some(clock.now()), ..*database_health };
        }
        changed
    });
}
