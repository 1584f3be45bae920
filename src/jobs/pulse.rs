//! Whether Postgres answers, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of Postgres.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// It answered when it was last asked.
    pub reachable: bool,
    /// Since when that has been so; `None` before it was first asked.
    pub since: Option<DateTime<Utc>>,
}

/// Asks over a connection of its own: busy readers must not look like a database that is away.
#[derive(Debug)]
pub struct Probe {
    options: PgConnectOptions,
    open: Option<PgConnection>,
}

impl Probe {
    /// It connects when it first asks.
    #[must_use]
    pub fn new(options: PgConnectOptions) -> Self {
        Self { options: options.disable_statement_logging(), open: None }
    }

    /// Postgres answers. A connection that was cut says nothing about that, so a new one is made.
    pub async fn ask(&mut self) -> bool {
        let open = self.open.take();
        let asked = tokio::time::timeout(PATIENCE, answering(open, &self.options)).await;
        self.open = asked.ok().and_then(Result::ok);
        self.open.is_some()
    }
}

/// A connection that has just answered: the one that is open, or else a new one.
async fn answering(
    open: Option<PgConnection>,
    options: &PgConnectOptions,
) -> Result<PgConnection, sqlx::Error> {
    if let Some(mut connection) = open
        && question(&mut connection).await.is_ok()
    {
        return Ok(connection);
    }
    let mut connection = options.connect().await?;
    question(&mut connection).await?;
    Ok(connection)
}

async fn question(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("SELECT 1").execute(connection).await.map(drop)
}

/// Asks again and again, until the service stops.
pub async fn run(
    options: PgConnectOptions,
    clock: Clock,
    pulse: watch::Sender<Pulse>,
    life: Lifecycle,
) {
    let mut probe = Probe::new(options);
    while !life.is_stopping() {
        note(&pulse, probe.ask().await, &clock);
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

fn note(pulse: &watch::Sender<Pulse>, reachable: bool, clock: &Clock) {
    pulse.send_if_modified(|pulse| {
        let changed = pulse.since.is_none() || pulse.reachable != reachable;
        if changed {
            match (reachable, pulse.since) {
                (false, Some(_)) => {
                    tracing::warn!("Postgres does not answer; the inbox keeps deliveries");
                }
                (true, Some(_)) => tracing::info!("Postgres answers again"),
                // The first word: a start takes its time, and says so itself.
                (_, None) => {}
            }
            *pulse = Pulse { reachable, since: Some(clock.now()) };
        }
        changed
    });
}
