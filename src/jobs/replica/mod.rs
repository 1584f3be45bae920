//! Standby for reads: measures its lag, and decides if it may be read. `docs/design/replica.md` has
//! the reasons.

mod examine;
mod history;
mod status;
mod watched;
mod watcher;

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::timeout;

pub use examine::{StandbyExamination, examine};
pub use status::{Readable, ReplicaState, ReplicaStatus};
pub use watched::Watched;

use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::postgres::{PrimaryPosition, primary_position};
use crate::store::fence::ErasureFence;
use crate::telemetry::metrics::ReadMetrics;
use watched::QUERY_TIMEOUT;
use watcher::Watcher;

/// Handle of the standby for readers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replica {
    standing: watch::Receiver<ReplicaStatus>,
    primary: PgPool,
    erasures: ErasureFence,
    max_lag: Duration,
    /// Counters of reads.
    pub reads: ReadMetrics,
}

impl Replica {
    /// Watches a standby until the service stops.
    #[must_use]
    pub fn start(watched: Watched, clock: Clock, life: &Lifecycle) -> Self {
        let (standing, receiver) = watch::channel(ReplicaStatus::default());
        let Watched { max_lag, pool, erasures, reads, .. } = &watched;
        let replica = Self {
            standing: receiver,
            primary: pool.clone(),
            erasures: erasures.clone(),
            max_lag: *max_lag,
            reads: reads.clone(),
        };
        life.spawn("replica", Watcher::new(watched, clock, standing).run(life.clone()));
        replica
    }

    /// Returns the standby if it may be read now.
    #[must_use]
    pub fn readable(&self) -> Option<Readable> {
        let standing = self.standing.borrow();
        let readable = standing.readable.as_ref()?;
        readable.may_be_read(self.max_lag, self.erasures.latest()).then(|| readable.clone())
    }

    /// Resolves when this run of the standby can no longer be read.
    pub async fn lost(&self, run: u64) {
        let mut standing = self.standing.clone();
        let is_other = |now: &ReplicaStatus| now.readable.as_ref().is_none_or(|now| now.run != run);
        // This fails if the watcher has ended because the service stops.
        let _ = standing.wait_for(is_other).await;
    }

    /// Returns the position of the primary; `None` if it does not answer in time.
    pub async fn position(&self) -> Option<PrimaryPosition> {
        let query = async {
            let mut connection = self.primary.acquire().await?;
            primary_position(&mut connection).await
        };
        timeout(QUERY_TIMEOUT, query).await.ok()?.ok()?
    }

    /// Returns the last measured status of the standby.
    #[must_use]
    pub fn standing(&self) -> ReplicaStatus {
        self.standing.borrow().clone()
    }
}
