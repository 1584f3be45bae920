//! Retries deliveries in quarantine for the jobs that ask for it: one job at a time, in the order of
//! arrival, and only what arrived before the job was asked for.

use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::DeliveryId;
use crate::drain::retry::{NotRetried, retry};
use crate::lifecycle::Lifecycle;
use crate::store::deliveries::{DeliveryFilter, DeliveryRow};
use crate::store::jobs::{JobRow, Progress, RetryFilter};
use crate::store::{Order, PageRequest, Position, Store, StoreError};

/// Time between two looks for a job.
const TICK: Duration = Duration::from_secs(1);
/// Wait after the database failed.
const PAUSE: Duration = Duration::from_secs(5);
/// Time between two deletions of old jobs.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// Deliveries that are listed at once.
const BATCH: u32 = 50;
/// Time between two reports of progress; a cancellation is noticed as soon.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// Deliveries that are counted at the most.
pub const MOST_COUNTED: i64 = 1_000_000;
/// Longest that a stop waits until the job is left to others.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// Retries deliveries for jobs.
#[derive(Debug)]
pub struct BulkRetry {
    store: Store,
    clock: Clock,
    /// Number of this service among those that do jobs.
    service: Uuid,
}

impl BulkRetry {
    /// Makes a worker with a number of its own.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        let service = DeliveryId::new(clock.now()).0;
        Self { store, clock, service }
    }

    /// Works until the service stops; what is not finished then goes on elsewhere, or at the next
    /// start.
    pub async fn run(self, life: Lifecycle) {
        tokio::select! {
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
        // Without it another service goes on when the last report is old.
        let _ = timeout(LEAVE_DEADLINE, self.store.leave_jobs(self.service)).await;
    }

    async fn keep_up(&self) {
        let mut pruned = None;
        loop {
            if pruned.is_none_or(|at: Instant| at.elapsed() >= PRUNE_INTERVAL) {
                pruned = Some(Instant::now());
                if let Err(error) = self.store.prune_jobs(self.clock.now()).await {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::debug!(error, "old jobs not deleted");
                }
            }
            let pause = match self.run_once().await {
                Ok(true) => continue,
                Ok(false) => TICK,
                Err(error) => {
                    let error = format!("{:#}", anyhow::Error::from(error));
                    tracing::debug!(error, "no job done");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does the oldest job that nobody does; `false` where there is none. A job whose database fails
    /// stays where it has come to, and the next call goes on with it.
    pub async fn run_once(&self) -> Result<bool, StoreError> {
        let Some(job) = self.store.take_job(self.service, self.clock.now()).await? else {
            return Ok(false);
        };
        let mut progress = job.progress();
        let done = self.retry_all(&job, &mut progress).await;
        // What was done before a failure counts.
        let mine = self.report(job.id, &progress).await;
        if done? && mine? {
            self.store.finish_job(job.id, self.service, self.clock.now()).await?;
            tracing::info!(job = %job.id, retried = progress.done, stored = progress.stored,
                "bulk retry finished");
        }
        Ok(true)
    }

    async fn report(&self, job: Uuid, progress: &Progress) -> Result<bool, StoreError> {
        self.store.report_progress(job, self.service, progress, self.clock.now()).await
    }

    /// Returns whether the job is done to its end.
    async fn retry_all(&self, job: &JobRow, progress: &mut Progress) -> Result<bool, StoreError> {
        let mut wanted: RetryFilter = serde_json::from_str(&job.filter).unwrap_or_default();
        // What arrives meanwhile would make it endless.
        let until = job.created_at + TimeDelta::microseconds(1);
        wanted.received_before = Some(wanted.received_before.map_or(until, |at| at.min(until)));
        self.count(&wanted, progress).await?;
        if !self.report(job.id, progress).await? {
            return Ok(false);
        }
        let filter = DeliveryFilter::from(wanted);
        let mut reported = Instant::now();
        loop {
            let page =
                PageRequest { after: progress.reached.clone(), order: Order::Asc, limit: BATCH };
            let rows = self.store.list_deliveries(&filter, &page).await?.rows;
            if rows.is_empty() {
                return Ok(true);
            }
            for row in rows {
                self.retry_one(&row, progress).await?;
                progress.reached = Some(Position { at: row.received_at, key: row.id });
                if reported.elapsed() >= REPORT_INTERVAL {
                    reported = Instant::now();
                    if !self.report(job.id, progress).await? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Counts what matches; of a job that goes on, what was retried after its last report.
    async fn count(&self, wanted: &RetryFilter, progress: &mut Progress) -> Result<(), StoreError> {
        let reached = progress.reached.as_ref();
        let left = self.store.count_quarantined(wanted, reached, MOST_COUNTED).await?;
        match progress.total {
            None => progress.total = Some(left),
            // Of more the total is not known.
            Some(total) if total < MOST_COUNTED => {
                // What stayed in quarantine after the report is among what is left.
                progress.done = progress.done.max(total - left);
                progress.stored = progress.stored.max(progress.done - progress.still_quarantined);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Retries a delivery as it is listed. An error is the database's; the delivery is then retried
    /// again.
    async fn retry_one(
        &self,
        row: &DeliveryRow,
        progress: &mut Progress,
    ) -> Result<(), StoreError> {
        let Some(row) = self.store.find_delivery(row.id, None).await? else { return Ok(()) };
        let retried = match row.arrival() {
            Ok(arrival) => retry(&self.store, &arrival).await,
            // Nothing was ever stored under such a name.
            Err(_) => Err(NotRetried::NotQuarantined),
        };
        let stays = match retried {
            Ok(_) => {
                progress.stored += 1;
                None
            }
            // Somebody else was quicker.
            Err(NotRetried::NotQuarantined) => None,
            Err(NotRetried::Unreadable(fault)) => {
                Some(format!("the field {}: {}", fault.field, fault.problem))
            }
            Err(NotRetried::Store(error @ StoreError::Unavailable(_))) => return Err(error),
            Err(NotRetried::Store(error)) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(delivery = %row.id, error, "delivery not retried");
                Some("a fault of the service, which its log describes".into())
            }
        };
        progress.done += 1;
        if stays.is_some() {
            progress.still_quarantined += 1;
            progress.last_error = stays;
        }
        Ok(())
    }
}
