//! How long things are kept: conversations and the log of deliveries, each by its source. And what
//! an erasure left undone when the service ended is done here.
//!
//! Things go by whole days (UTC), so there is work once a day, and what comes late goes a day later.

pub mod log;
pub mod plan;

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};

use self::log::QUARANTINE_FACTOR;
use crate::clock::Clock;
use crate::config::{Ages, Keep, oldest};
use crate::lifecycle::Lifecycle;
use crate::store::erase::Tally;
use crate::store::old::Limits;
use crate::store::{Store, StoreError};

/// How often the job looks. Whole days go, so an hour more or less does not matter.
const INTERVAL: Duration = Duration::from_hours(1);

/// What one look has dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Whole days of the log, and what of it was kept and lost.
    pub log: log::Swept,
    /// Rows by table, and emptied months of `messages` as `partitions`.
    pub rows: Tally,
}

/// Why a look ended before it was done; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// While partitions were dropped.
    #[error("the log of deliveries could not be shortened")]
    Log(#[from] sqlx::Error),
    /// While rows were deleted.
    #[error("old conversations could not be deleted")]
    Store(#[from] StoreError),
}

/// Looks now and then, until the service stops.
pub async fn run(store: Store, clock: Clock, keep: Keep, life: Lifecycle) {
    let mut done: Option<NaiveDate> = None;
    while !life.is_stopping() {
        if let Err(error) = finish_erasures(&store, &clock).await {
            tracing::warn!(error = %format!("{:#}", anyhow::Error::from(error)),
                "an erasure could not be finished; trying again in an hour");
        }
        let today = clock.now().date_naive();
        // The log is looked at every hour all the same: it costs a glance at the catalogue.
        let looked = if done == Some(today) {
            run_on_log(&store, clock.now(), &keep.deliveries).await.map(drop)
        } else {
            run_once(&store, clock.now(), &keep).await.map(|gone| {
                done = Some(today);
                gone.tell();
            })
        };
        if let Err(error) = looked {
            tracing::warn!(error = %format!("{:#}", anyhow::Error::from(error)),
                "what is over age could not be dropped; trying again in an hour");
        }
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// Drops what is over age.
pub async fn run_once(store: &Store, now: DateTime<Utc>, keep: &Keep) -> Result<Gone, Failed> {
    let mut gone = Gone { log: run_on_log(store, now, &keep.deliveries).await?, ..Gone::default() };
    if keep.deliveries.differ() {
        let of_quarantine = limits(now, &keep.deliveries, QUARANTINE_FACTOR);
        let usual = limits(now, &keep.deliveries, 1);
        store.drop_old_deliveries(&usual, &of_quarantine, &mut gone.rows).await?;
    }
    if !keep.messages.is_for_ever() {
        store.drop_old_sessions(&limits(now, &keep.messages, 1), now, &mut gone.rows).await?;
    }
    if let Some(age) = keep.messages.longest() {
        store.drop_empty_months(now, oldest(now, age), &mut gone.rows).await?;
    }
    Ok(gone)
}

async fn run_on_log(store: &Store, now: DateTime<Utc>, ages: &Ages) -> Result<log::Swept, Failed> {
    Ok(match ages.longest() {
        Some(keep) => log::run_once(store.pool(), now, keep).await?,
        None => log::Swept::default(),
    })
}

/// Until when what each source brought is over age, at so many times the age.
pub(crate) fn limits(now: DateTime<Utc>, ages: &Ages, factor: i32) -> Limits {
    let until = |age: Option<Duration>| age.map(|age| oldest(now, age * factor.unsigned_abs()));
    Limits {
        usual: until(ages.usual),
        of_sources: ages.of_sources.iter().map(|(name, age)| (name.clone(), until(*age))).collect(),
    }
}

/// Carries out what was begun and not finished, because a service ended in the middle. One that
/// fails keeps no other from being finished; the last failure is told.
pub async fn finish_erasures(store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let mut finished = Ok(());
    for id in store.unfinished_erasures().await? {
        match store.carry_out(id, clock).await {
            Ok(Some(_)) => {
                tracing::info!(erasure = %id, "an erasure that was interrupted is finished");
            }
            Ok(None) => {}
            Err(error) => finished = Err(error),
        }
    }
    finished
}

impl Gone {
    fn tell(&self) {
        if !self.rows.0.is_empty() {
            tracing::info!(rows = ?self.rows.0, "deleted what is over age");
        }
    }
}
