//! Task that reads the journal for all listeners.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::stream::{Live, READING};
use crate::store::StoreError;
use crate::store::changes::ChangeFilter;

/// Interval between reads for events of other processes. Commits of this process wake the task at
/// once.
const POLL: Duration = Duration::from_millis(500);
/// Wait after a failed read of the journal.
const RETRY: Duration = Duration::from_secs(1);

/// Next step of the task.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Read again at once: there is more.
    Continue,
    /// Wait for a commit: everything was read.
    Wait,
    /// Wait for a listener: there is none.
    Idle,
}

/// Reads the journal until the service stops.
pub(super) async fn run(live: Live, mut committed: watch::Receiver<()>) {
    while !live.0.life.is_stopping() {
        let next = tokio::select! {
            next = run_once(&live) => next,
            () = live.0.life.stopping() => break,
        };
        let pause = async {
            match next {
                Ok(Next::Continue) => {}
                Ok(Next::Idle) => live.0.joined.notified().await,
                Ok(Next::Wait) => {
                    let _ = tokio::time::timeout(POLL, wait_for_commit(&mut committed)).await;
                }
                Err(error) => {
                    tracing::debug!(
                        error = format!("{:#}", anyhow::Error::new(error)),
                        "cannot read the journal; listeners wait"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        };
        tokio::select! {
            () = pause => {}
            () = live.0.life.stopping() => {}
        }
    }
    // Listeners see the stop themselves; this wakes those that wait for the ring.
    live.change_ring(|ring| ring.deactivate());
}

/// Waits for a commit of this process.
async fn wait_for_commit(committed: &mut watch::Receiver<()>) {
    if committed.changed().await.is_err() {
        // This process no longer writes.
        std::future::pending::<()>().await;
    }
}

/// Reads the next part of the journal.
async fn run_once(live: &Live) -> Result<Next, StoreError> {
    if live.listeners() == 0 {
        live.change_ring(|ring| ring.deactivate());
        return Ok(Next::Idle);
    }
    let reached = live.ring().reached().cloned();
    let Some(reached) = reached else {
        let end = live.0.store.journal_end().await?;
        live.change_ring(|ring| ring.activate(end));
        return Ok(Next::Wait);
    };
    let all = ChangeFilter::default();
    let Some(changes) = live.0.store.changes(Some(&reached), &all, READING).await? else {
        tracing::warn!("the journal was replaced; listeners start again");
        live.change_ring(|ring| ring.reset());
        return Ok(Next::Continue);
    };
    if changes.reached != reached {
        let event = |(position, change)| Arc::new(live.event(position, change));
        let events = changes.items.into_iter().map(event).collect();
        live.change_ring(|ring| ring.push(events, changes.reached));
    }
    Ok(if changes.more { Next::Continue } else { Next::Wait })
}
