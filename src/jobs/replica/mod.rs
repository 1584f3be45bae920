//! The standby that answers are read from: measures how far it is behind, and decides whether it may
//! be read. `docs/design/replica.md` has the reasons.

mod examine;
mod history;
mod standing;
mod watcher;

use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::timeout;

pub use examine::{StandbyExamination, examine};
pub use standing::{Readable, ReplicaState, Standing};

use crate::clock::Clock;
use crate::domain::Roles;
use crate::lifecycle::Lifecycle;
use crate::postgres::{Connector, PrimaryPosition, primary_position};
use crate::store::fence::ErasureFence;
use crate::telemetry::metrics::ReadMetrics;
use watcher::Watcher;

/// How long either server may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is watched, and by which rules.
#[derive(Debug)]
pub struct Watched {
    /// The database that is written to.
    pub primary: Connector,
    /// Connections to it for what requests ask.
    pub pool: PgPool,
    /// Its standby.
    pub standby: Connector,
    /// The standby is read while it is behind by no more than this.
    pub max_lag: Duration,
    /// Erasures that it must have replayed.
    pub erasures: ErasureFence,
    /// Whose roles count as the assistant's.
    pub roles: Roles,
    /// Counts reads.
    pub reads: ReadMetrics,
}

/// The standby, as readers use it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Replica {
    standing: watch::Receiver<Standing>,
    primary: PgPool,
    erasures: ErasureFence,
    max_lag: Duration,
    /// Counts reads.
    pub reads: ReadMetrics,
}

impl Replica {
    /// Watches a standby until the service stops.
    #[must_use]
    pub fn start(watched: Watched, clock: Clock, life: &Lifecycle) -> Self {
        let (standing, seen) = watch::channel(Standing::default());
        let Watched { max_lag, pool, erasures, reads, .. } = &watched;
        let replica = Self {
            standing: seen,
            primary: pool.clone(),
            erasures: erasures.clone(),
            max_lag: *max_lag,
            reads: reads.clone(),
        };
        life.spawn("replica", Watcher::new(watched, clock, standing).run(life.clone()));
        replica
    }

    /// Returns the standby where it may be read now.
    #[must_use]
    pub fn readable(&self) -> Option<Readable> {
        let standing = self.standing.borrow();
        let readable = standing.readable.as_ref()?;
        readable.may_be_read(self.max_lag, self.erasures.latest()).then(|| readable.clone())
    }

    /// Resolves once this run of the standby is no longer there to be read.
    pub async fn lost(&self, run: u64) {
        let mut standing = self.standing.clone();
        let is_other = |now: &Standing| now.readable.as_ref().is_none_or(|now| now.run != run);
        // It fails where the watcher has ended, as when the service stops.
        let _ = standing.wait_for(is_other).await;
    }

    /// Returns where the primary is; `None` where it does not say so at once.
    pub async fn position(&self) -> Option<PrimaryPosition> {
        let asked = async {
            let mut connection = self.primary.acquire().await?;
            primary_position(&mut connection).await
        };
        timeout(PATIENCE, asked).await.ok()?.ok()?
    }

    /// Returns how the standby was when it was last measured.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }
}
