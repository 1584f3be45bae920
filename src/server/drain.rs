//! Starts the drain's workers.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::resources::Resources;
use crate::drain::attempts::Attempts;
use crate::drain::worker::Worker;
use crate::lifecycle::Lifecycle;

/// Workers of the drain. One is as fast as the inbox. Two would halve the batches, and wait for
/// each other's locks on sessions.
pub const DRAIN_WORKERS: usize = 1;

/// Running drain.
pub(super) struct Drain {
    /// Outcomes of the attempts to write deliveries, also past the inbox.
    pub(super) attempts: Attempts,
    /// Notified after each commit.
    pub(super) commits: watch::Receiver<()>,
    /// Waits for the end of the workers.
    pub(super) workers: TaskTracker,
    /// Makes the workers give up.
    pub(super) give_up: CancellationToken,
}

impl Drain {
    /// Starts the workers. They wait for the schema.
    pub(super) fn start(resources: &Resources) -> Self {
        let (committed, commits) = watch::channel(());
        let attempts = Attempts::new(committed);
        let (workers, give_up) = (TaskTracker::new(), CancellationToken::new());
        for _ in 0..DRAIN_WORKERS {
            let worker = worker(resources, attempts.clone(), give_up.clone());
            let work = run(worker, resources.schema.clone(), resources.life.clone());
            resources.life.spawn("drain worker", workers.track_future(work));
        }
        workers.close();
        Self { attempts, commits, workers, give_up }
    }
}

fn worker(resources: &Resources, attempts: Attempts, give_up: CancellationToken) -> Worker {
    let Resources { settings, backlog, connector, metrics, life, .. } = resources;
    Worker::new(
        backlog.clone(),
        connector.clone(),
        settings.roles.clone(),
        metrics.clone(),
        attempts,
        life.clone(),
        give_up,
    )
}

/// Runs a worker once the schema is ready.
async fn run(worker: Worker, schema: CancellationToken, life: Lifecycle) {
    tokio::select! {
        biased;
        () = schema.cancelled() => worker.run().await,
        () = life.stopping() => {}
    }
}
