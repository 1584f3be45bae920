//! Starting and stopping: who is told to stop, who is waited for, and what a death means.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The life of the process, shared by all its tasks. Cheap to clone.
///
/// The first signal asks everybody to finish (*soft*); the second one ends the process at once.
/// A background task that dies before that is a fault of ours: it stops the process loudly, since
/// a service without its drain would look alive and not be.
#[derive(Clone, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    last_act: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// A new life.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Resolves once the process has been asked to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// The process has been asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Asks everybody to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Runs a background task that lives until the process stops.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.clone();
        let inner = tokio::spawn(task);
        self.tasks.spawn(async move {
            let outcome = inner.await;
            if outcome.is_err() || !life.is_stopping() {
                tracing::error!(task = name, "a background task died; stopping");
                life.failed.store(true, Ordering::Relaxed);
                life.stop();
            }
        });
    }

    /// What a second signal does before it ends the process. It must not wait for anything; the
    /// first act that is set counts.
    pub fn on_abrupt_end(&self, act: impl Fn() + Send + Sync + 'static) {
        let _ = self.last_act.set(Box::new(act));
    }

    /// Stops on SIGTERM or SIGINT; a second one ends the process at once.
    pub fn stop_on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let life = self.clone();
        tokio::spawn(async move {
            let mut next = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let name = next().await;
            tracing::info!(signal = name, "stopping: finishing what is open");
            life.stop();
            let name = next().await;
            tracing::warn!(signal = name, "stopping at once; the inbox keeps what is not drained");
            if let Some(act) = life.last_act.get() {
                act();
            }
            std::process::exit(130);
        });
        Ok(())
    }

    /// Waits for every task, and says whether all of them ended as they should.
    pub async fn finished(&self) -> Result<(), TaskDied> {
        self.tasks.close();
        self.tasks.wait().await;
        if self.failed.load(Ordering::Relaxed) { Err(TaskDied) } else { Ok(()) }
    }
}

/// A background task ended before its time; the log says which.
#[derive(Debug, thiserror::Error)]
#[error("a background task died; the log says which")]
pub struct TaskDied;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_dies_stops_the_process_with_an_error() {
        let life = Lifecycle::new();
        life.spawn("short-lived", async {});
        life.stopping().await;
        assert!(life.finished().await.is_err());
    }

    #[tokio::test]
    async fn tasks_that_end_after_the_stop_end_well() {
        let life = Lifecycle::new();
        let inner = life.clone();
        life.spawn("patient", async move { inner.stopping().await });
        life.stop();
        assert!(life.finished().await.is_ok());
    }
}
