//! Figures that a service knows without the database.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::alerts::{Measured, Missing, Reading, Subject};
use crate::inbox::Depth;
use crate::telemetry::Metrics;

/// State that a service knows without the database.
#[derive(Clone, Debug)]
pub struct OwnState {
    /// Deliveries that are not yet in Postgres.
    pub depth: watch::Receiver<Depth>,
    /// Arrival of the last delivery.
    pub metrics: Arc<Metrics>,
    /// Start of the service; the time before is unknown to it.
    pub started_at: DateTime<Utc>,
}

impl OwnState {
    /// Returns the arrival of the oldest delivery that is not in Postgres.
    #[must_use]
    pub(super) fn undrained_since(&self) -> Option<DateTime<Utc>> {
        self.depth.borrow().oldest_at
    }

    /// Returns the arrival of the last delivery.
    #[must_use]
    pub(super) fn last_delivery(&self) -> Option<DateTime<Utc>> {
        self.metrics.webhook.last_received_at()
    }

    /// Reads a figure without the database.
    pub(super) fn measure(&self, subject: &Subject, now: DateTime<Utc>) -> Measured {
        let since = match subject {
            Subject::UndrainedAge => self.undrained_since(),
            // Deliveries before the start are unknown, and may have arrived just before it.
            Subject::NoDelivery => Some(self.last_delivery().unwrap_or(self.started_at)),
            _ => return Measured::Missing(Missing::Database),
        };
        age(since, now)
    }
}

/// Returns the reading of an age in seconds; 0 if `since` is `None`.
pub(super) fn age(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Measured {
    let value = since.map_or(0.0, |since| (now - since).as_seconds_f64().max(0.0));
    Measured::Reading(Reading { value, normal: None })
}
