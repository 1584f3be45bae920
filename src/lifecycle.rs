//! Start and stop of the process: the stop signal, the tasks to wait for, and tasks that die.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Lifecycle of the process, shared by all its tasks. Cheap to clone.
///
/// The first signal requests a graceful stop; the second one ends the process at once. A background
/// task that ends before a stop is a bug. It stops the process, since a service without its drain
/// would look healthy.
#[derive(Clone, Default)]
pub struct Lifecycle {
    stop: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
    abrupt_end_action: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle").field("stopping", &self.is_stopping()).finish_non_exhaustive()
    }
}

impl Lifecycle {
    /// Creates a lifecycle.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until a stop is requested.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Returns `true` once a stop is requested.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Requests a stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Spawns a background task that must run until the process stops.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let life = self.clone();
        let inner = tokio::spawn(task);
        self.tasks.spawn(async move {
            let outcome = inner.await;
            if outcome.is_err() || !life.is_stopping() {
                tracing::error!(task = name, "background task died; stopping");
                life.failed.store(true, Ordering::Relaxed);
                life.stop();
            }
        });
    }

    /// Sets the action of the second signal before the process ends. It must not block. Only the
    /// first call has an effect.
    pub fn on_second_signal(&self, action: impl Fn() + Send + Sync + 'static) {
        let _ = self.abrupt_end_action.set(Box::new(action));
    }

    /// Requests a stop on SIGTERM or SIGINT; a second signal ends the process at once.
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
            tracing::info!(signal = name, "stopping; finishing open requests");
            life.stop();
            let name = next().await;
            tracing::warn!(
                signal = name,
                "stopping at once; undrained deliveries stay in the inbox"
            );
            if let Some(action) = life.abrupt_end_action.get() {
                action();
            }
            std::process::exit(130);
        });
        Ok(())
    }

    /// Waits for all tasks. Fails if one of them died.
    pub async fn finished(&self) -> Result<(), TaskDied> {
        self.tasks.close();
        self.tasks.wait().await;
        if self.failed.load(Ordering::Relaxed) { Err(TaskDied) } else { Ok(()) }
    }
}

/// A background task ended before a stop was requested; the log names it.
#[derive(Debug, thiserror::Error)]
#[error("a background task died; the log names it")]
pub struct TaskDied;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn dead_task_stops_the_process_with_an_error() {
        let life = Lifecycle::new();
        life.spawn("short-lived", async {});
        life.stopping().await;
        assert!(life.finished().await.is_err());
    }

    #[tokio::test]
    async fn task_that_ends_after_the_stop_is_no_error() {
        let life = Lifecycle::new();
        let inner = life.clone();
        life.spawn("patient", async move { inner.stopping().await });
        life.stop();
        assert!(life.finished().await.is_ok());
    }
}
