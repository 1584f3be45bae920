//! Runs bulk retry jobs: retries the deliveries in quarantine that arrived before the job was
//! created, in the order of arrival. One job runs at a time.

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

/// Interval of polling for a job.
const TICK: Duration = Duration::from_secs(1);
/// Pause after a failure of the database.
const PAUSE: Duration = Duration::from_secs(5);
/// Interval of deleting old jobs.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// Number of deliveries that are listed at once.
const BATCH: u32 = 50;
/// Interval of progress reports, which also detect a cancellation.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);
/// Most deliveries that are counted.
pub const MAX_COUNTED: i64 = 1_000_000;
/// Longest wait at a stop for releasing the job.
const LEAVE_DEADLINE: Duration = Duration::from_secs(1);

/// Worker that runs bulk retry jobs.
#[derive(Debug)]
pub struct BulkRetry {
    store: Store,
    clock: Clock,
    /// ID of this service among those that run jobs.
    service: Uuid,
}

impl BulkRetry {
    /// Creates a worker with a new service ID.
    #[must_use]
    pub fn new(store: Store, clock: Clock) -> Self {
        let service = DeliveryId::new(clock.now()).0;
        Self { store, clock, service }
    }

    /// Runs jobs until the service stops. Another service, or the next start, continues an
    /// unfinished job.
    pub async fn run(self, life: Lifecycle) {
        tokio::select! {
            () = life.stopping() => {}
            () = self.keep_up() => {}
        }
        // Without this, another service continues after the last report has expired.
        let _ = timeout(LEAVE_DEADLINE, self.store.release_jobs(self.service)).await;
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
                    tracing::debug!(error, "bulk retry interrupted");
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Runs the oldest free job; returns `false` if there is none. If the database fails, the job
    /// keeps its progress, and the next call continues it.
    pub async fn run_once(&self) -> Result<bool, StoreError> {
        let Some(job) = self.store.claim_job(self.service, self.clock.now()).await? else {
            return Ok(false);
        };
        let mut progress = job.progress();
        let done = self.retry_all(&job, &mut progress).await;
        // Report the progress before a failure as well.
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

    /// Returns `true` if the job is complete, and `false` if it was cancelled or taken over.
    async fn retry_all(&self, job: &JobRow, progress: &mut Progress) -> Result<bool, StoreError> {
        let mut wanted: RetryFilter = serde_json::from_str(&job.filter).unwrap_or_default();
        // Deliveries that arrive meanwhile are excluded, or the job might never end.
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

    /// Sets the total of a new job. For a continued job, counts the deliveries retried after its
    /// last report.
    async fn count(&self, wanted: &RetryFilter, progress: &mut Progress) -> Result<(), StoreError> {
        let reached = progress.reached.as_ref();
        let left = self.store.count_quarantined(wanted, reached, MAX_COUNTED).await?;
        match progress.total {
            None => progress.total = Some(left),
            // Above the limit the total is unknown.
            Some(total) if total < MAX_COUNTED => {
                // Deliveries that stayed in quarantine after the report are part of `left`.
                progress.done = progress.done.max(total - left);
                progress.stored = progress.stored.max(progress.done - progress.still_quarantined);
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Retries one delivery. An error is one of the database; the delivery is then retried again.
    async fn retry_one(
        &self,
        row: &DeliveryRow,
        progress: &mut Progress,
    ) -> Result<(), StoreError> {
        let Some(row) = self.store.find_delivery(row.id, None).await? else { return Ok(()) };
        let retried = match row.arrival() {
            Ok(arrival) => retry(&self.store, &arrival).await,
            // No delivery was ever stored with an invalid source name.
            Err(_) => Err(NotRetried::NotQuarantined),
        };
        let stays = match retried {
            Ok(_) => {
                progress.stored += 1;
                None
            }
            // It was already retried elsewhere.
            Err(NotRetried::NotQuarantined) => None,
            Err(NotRetried::Unreadable(fault)) => {
                Some(format!("the field {}: {}", fault.field, fault.problem))
            }
            Err(NotRetried::Store(error @ StoreError::Unavailable(_))) => return Err(error),
            Err(NotRetried::Store(error)) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                tracing::error!(delivery = %row.id, error, "delivery not retried");
                Some("internal error; see the log of the service".into())
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
