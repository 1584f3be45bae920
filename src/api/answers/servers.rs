//! The servers that answers are read from: the primary, and a standby where one is configured.

use chrono::{DateTime, Utc};

use super::needs::Origin;
use crate::jobs::replica::{Readable, Replica};

/// The servers that answers are read from. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ReadServers {
    pub(super) replica: Option<Replica>,
    /// The server of this answer.
    origin: Origin,
    /// Time up to which the standby has every commit.
    complete_at: Option<DateTime<Utc>>,
}

impl ReadServers {
    /// Returns the primary, and a standby where there is one.
    #[must_use]
    pub fn new(replica: Option<Replica>) -> Self {
        Self { replica, ..Self::default() }
    }

    /// Returns the same servers for an answer that is read from a standby.
    pub(super) fn on(&self, standby: &Readable) -> Self {
        Self {
            origin: Origin::Standby(standby.run),
            complete_at: Some(standby.complete_at),
            ..self.clone()
        }
    }

    /// Returns the server that this answer is read from.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the time up to which this answer is complete; `now` on the primary.
    pub(crate) fn complete_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.complete_at.map_or(now, |at| at.min(now))
    }
}
