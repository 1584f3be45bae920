//! Retention of conversations and of the log of deliveries, by source. The job also finishes
//! erasures that were interrupted when a service ended.
//!
//! Retention works by whole days (UTC), so it runs once a day, and late arrivals are deleted a day
//! later.

pub mod log;
pub mod plan;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use self::log::QUARANTINE_FACTOR;
use crate::clock::Clock;
use crate::config::{AgeLimits, RetentionRules, oldest};
use crate::lifecycle::Lifecycle;
use crate::store::erase::Tally;
use crate::store::retention::Limits;
use crate::store::{Store, StoreError};

/// Interval of the job. Retention works by days, so an hour does not matter.
const INTERVAL: Duration = Duration::from_hours(1);

/// Outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Outcome for the log of deliveries.
    pub log: log::LogReport,
    /// Deleted rows by table, and dropped months of `messages` as `partitions`.
    pub rows: Tally,
    /// Another service deletes expired rows, so that this run has left some.
    pub is_elsewhere: bool,
}

/// Error of a run; the next run continues.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Dropping partitions failed.
    #[error("expired deliveries not dropped from the log")]
    Log(#[from] sqlx::Error),
    /// Deleting rows failed.
    #[error("expired rows not deleted")]
    Store(#[from] StoreError),
}

/// Runs at intervals until the service stops.
pub async fn run(store: Store, clock: Clock, keep: RetentionRules, life: Lifecycle) {
    let mut done: Option<NaiveDate> = None;
    while !life.is_stopping() {
        if let Err(error) = finish_erasures(&store, &clock).await {
            tracing::warn!(error = %format!("{:#}", anyhow::Error::from(error)),
                "interrupted erasure not finished; next attempt in an hour");
        }
        let today = clock.now().date_naive();
        // The log is checked every hour: that only reads the catalogue.
        let outcome = if done == Some(today) {
            run_on_log(&store, clock.now(), &keep.deliveries).await.map(drop)
        } else {
            run_once(&store, clock.now(), &keep).await.map(|gone| {
                // If the other service ends before it is done, the run in an hour continues.
                done = (!gone.is_elsewhere).then_some(today);
                gone.log();
            })
        };
        if let Err(error) = outcome {
            tracing::warn!(error = %format!("{:#}", anyhow::Error::from(error)),
                "expired data not deleted; next attempt in an hour");
        }
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Deletes expired data, unless another service does.
pub async fn run_once(
    store: &Store,
    now: DateTime<Utc>,
    keep: &RetentionRules,
) -> Result<Gone, Failed> {
    let mut gone = Gone { log: run_on_log(store, now, &keep.deliveries).await?, ..Gone::default() };
    if keep.deliveries.differ() {
        let of_quarantine = limits(now, &keep.deliveries, QUARANTINE_FACTOR);
        let usual = limits(now, &keep.deliveries, 1);
        let mine = store.delete_expired_deliveries(&usual, &of_quarantine, &mut gone.rows).await?;
        gone.is_elsewhere |= !mine;
    }
    if !keep.messages.is_unlimited() {
        let limits = limits(now, &keep.messages, 1);
        let mine = store.delete_expired_sessions(&limits, now, &mut gone.rows).await?;
        gone.is_elsewhere |= !mine;
    }
    if let Some(age) = keep.messages.longest() {
        store.drop_empty_months(now, oldest(now, age), &mut gone.rows).await?;
    }
    Ok(gone)
}

async fn run_on_log(
    store: &Store,
    now: DateTime<Utc>,
    ages: &AgeLimits,
) -> Result<log::LogReport, Failed> {
    Ok(match ages.longest() {
        Some(keep) => log::run_once(store.pool(), now, keep).await?,
        None => log::LogReport::default(),
    })
}

/// Returns the time before which data is expired, by source. `factor` multiplies the retention.
pub(crate) fn limits(now: DateTime<Utc>, ages: &AgeLimits, factor: i32) -> Limits {
    let until = |age: Option<Duration>| age.map(|age| oldest(now, age * factor.unsigned_abs()));
    Limits {
        usual: until(ages.usual),
        of_sources: ages.of_sources.iter().map(|(name, age)| (name.clone(), until(*age))).collect(),
    }
}

/// Finishes erasures that were interrupted because a service ended. A failure does not stop the
/// others; returns the last one.
pub async fn finish_erasures(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let mut finished = Ok(());
    for id in store.unfinished_erasures().await? {
        match store.run_erasure(id, clock).await {
            Ok(Some(_)) => {
                tracing::info!(erasure = %id, "interrupted erasure finished");
            }
            Ok(None) => {}
            Err(error) => finished = Err(error),
        }
    }
    finished
}

impl Gone {
    fn log(&self) {
        if !self.rows.0.is_empty() {
            tracing::info!(rows = ?self.rows.0, "expired rows deleted");
        }
    }
}
