//! Whether Postgres answers, whether it takes writes, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::postgres::Connector;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// It answered when it was last asked.
    pub reachable: bool,
    /// It said then that transactions are read-only: it is a standby, or set so.
    pub read_only: bool,
    /// Since when it is reachable or not; `None` before it was first asked.
    pub since: Option<DateTime<Utc>>,
}

/// An answer of Postgres to a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// None in time, or an error.
    Missing,
    /// It takes no writes.
    ReadOnly,
    /// It takes writes.
    Writable,
}

/// Asks over a connection of its own: busy readers must not look like a database that is away.
#[derive(Debug)]
pub struct Probe {
    connector: Connector,
    open: Option<PgConnection>,
}

impl Probe {
    /// It connects when it first asks.
    #[must_use]
    pub fn new(connector: impl Into<Connector>) -> Self {
        Self { connector: connector.into(), open: None }
    }

    /// Asks Postgres once. A connection that was cut says nothing about it, so a new one is made.
    pub async fn ask(&mut self) -> Answer {
        let open = self.open.take();
        let asked = tokio::time::timeout(PATIENCE, answering(open, &self.connector)).await;
        match asked {
            Ok(Ok((connection, answer))) => {
                // What makes a database read-only is often told to new connections alone.
                self.open = (answer == Answer::Writable).then_some(connection);
                answer
            }
            Ok(Err(_)) | Err(_) => Answer::Missing,
        }
    }
}

/// A connection that has just answered: the one that is open, or else a new one.
async fn answering(
    open: Option<PgConnection>,
    connector: &Connector,
) -> Result<(PgConnection, Answer), sqlx::Error> {
    if let Some(mut connection) = open
        && let Ok(answer) = question(&mut connection).await
    {
        return Ok((connection, answer));
    }
    let mut connection = connector.connect().await?;
    let answer = question(&mut connection).await?;
    Ok((connection, answer))
}

async fn question(connection: &mut PgConnection) -> Result<Answer, sqlx::Error> {
    let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection).await?;
    let read_only: String = row.try_get(0)?;
    Ok(if read_only == "on" { Answer::ReadOnly } else { Answer::Writable })
}

/// Asks again and again, until the service stops.
pub async fn run(connector: Connector, clock: Clock, pulse: watch::Sender<Pulse>, life: Lifecycle) {
    let mut probe = Probe::new(connector);
    while !life.is_stopping() {
        note(&pulse, probe.ask().await, &clock);
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

fn note(pulse: &watch::Sender<Pulse>, answer: Answer, clock: &Clock) {
    let (reachable, read_only) = (answer != Answer::Missing, answer == Answer::ReadOnly);
    pulse.send_if_modified(|pulse| {
        let changed = pulse.since.is_none() || pulse.reachable != reachable;
        if reachable && pulse.read_only != read_only {
            if read_only {
                tracing::warn!(
                    "Postgres is read-only; the inbox keeps deliveries. Connect to the primary, or \
                     see where default_transaction_read_only is set"
                );
            } else {
                tracing::info!("Postgres takes writes again");
            }
            pulse.read_only = read_only;
        }
        if changed {
            match (reachable, pulse.since) {
                (false, Some(_)) => {
                    tracing::warn!("Postgres does not answer; the inbox keeps deliveries");
                }
                (true, Some(_)) => tracing::info!("Postgres answers again"),
                // The first word: a start takes its time, and says so itself.
                (_, None) => {}
            }
            *pulse = Pulse { reachable, since: Some(clock.now()), ..*pulse };
        }
        changed
    });
}
