//! Deliveries of a batch, decoded or not.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::decode::{Reading, Received};
use crate::domain::{Arrival, Delivery, Unreadable};

/// Delivery to write: the arrival and its decoding.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// The arrival.
    pub arrival: &'a Arrival,
    /// The decoded delivery, or the reason why it goes to quarantine.
    pub read: Cow<'a, Reading>,
}

impl<'a> From<&'a Received> for Row<'a> {
    fn from(received: &'a Received) -> Self {
        Self { arrival: &received.arrival, read: Cow::Borrowed(&received.read) }
    }
}

impl Row<'_> {
    /// Returns the delivery if it was decoded.
    #[must_use]
    pub fn delivery(&self) -> Option<&Delivery> {
        self.read.as_ref().as_ref().ok()
    }

    pub(super) fn fault(&self) -> Option<&Unreadable> {
        self.read.as_ref().as_ref().err()
    }
}

/// Decoded delivery, the first arrival of its duplicates in the batch.
#[derive(Clone, Copy)]
pub(super) struct Readable<'a> {
    pub(super) arrival: &'a Arrival,
    pub(super) delivery: &'a Delivery,
    pub(super) id: Uuid,
    pub(super) occurred_at: DateTime<Utc>,
}

impl Readable<'_> {
    pub(super) fn session(&self) -> Option<Uuid> {
        self.delivery.event.session().map(|session| session.id.0)
    }

    /// Returns the time that counts as activity: a sender's clock may be ahead.
    pub(super) fn active_at(&self) -> DateTime<Utc> {
        self.occurred_at.min(self.arrival.received_at)
    }
}
