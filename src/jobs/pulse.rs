//! Whether Postgres answers, and since when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
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

/// Asks again and again, until the service stops.
pub async fn run(pool: PgPool, clock: Clock, pulse: watch::Sender<Pulse>, life: Lifecycle) {
    while !life.is_stopping() {
        run_once(&pool, &clock, &pulse).await;
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Asks once.
pub async fn run_once(pool: &PgPool, clock: &Clock, pulse: &watch::Sender<Pulse>) {
    let asked = tokio::time::timeout(PATIENCE, sqlx::query("SELECT 1").execute(pool)).await;
    let reachable = matches!(asked, Ok(Ok(_)));
    pulse.send_if_modified(|pulse| {
        let changed = pulse.since.is_none() || pulse.reachable != reachable;
        if changed {
            *pulse = Pulse { reachable, since: Some(clock.now()) };
        }
        changed
    });
}
