//! The task that reads the journal for all listeners.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Live, READING};
use crate::store::StoreError;
use crate::store::changes::ChangeFilter;

/// How often it looks for what other processes have written. What this one writes it is told of.
const POLL: Duration = Duration::from_millis(500);
/// How long it waits where the journal could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// There is more: go on at once.
    GoOn,
    /// All there is has been read: wait for a hint.
    Wait,
    /// Nobody listens: wait for somebody.
    Rest,
}

/// Reads for as long as the service runs.
pub(super) async fn run(live: Live, mut committed: watch::Receiver<()>) {
    while !live.0.life.is_stopping() {
        let next = tokio::select! {
            next = run_once(&live) => next,
            () = live.0.life.stopping() => break,
        };
        let pause = async {
            match next {
                Ok(Next::GoOn) => {}
                Ok(Next::Rest) => live.0.joined.notified().await,
                Ok(Next::Wait) => {
                    let _ = tokio::time::timeout(POLL, hint(&mut committed)).await;
                }
                Err(error) => {
                    tracing::debug!(
                        error = format!("{:#}", anyhow::Error::new(error)),
                        "the journal cannot be read; listeners wait"
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
    // Listeners find out by themselves; this is for those who wait for the ring.
    live.change_ring(|ring| ring.sleep());
}

/// Something was written in this process.
async fn hint(committed: &mut watch::Receiver<()>) {
    if committed.changed().await.is_err() {
        // Nobody writes here any more.
        std::future::pending::<()>().await;
    }
}

/// Reads a part of what has come.
async fn run_once(live: &Live) -> Result<Next, StoreError> {
    if live.listeners() == 0 {
        live.change_ring(|ring| ring.sleep());
        return Ok(Next::Rest);
    }
    let reached = live.ring().reached().cloned();
    let Some(reached) = reached else {
        let end = live.0.store.journal_end().await?;
        live.change_ring(|ring| ring.wake(end));
        return Ok(Next::Wait);
    };
    let all = ChangeFilter::default();
    let Some(changes) = live.0.store.changes(Some(&reached), &all, READING).await? else {
        tracing::warn!("the journal is not the one that was read so far; listeners start anew");
        live.change_ring(|ring| ring.break_off());
        return Ok(Next::GoOn);
    };
    if changes.reached != reached {
        let event = |(position, change)| Arc::new(live.event(position, change));
        let events = changes.items.into_iter().map(event).collect();
        live.change_ring(|ring| ring.push(events, changes.reached));
    }
    Ok(if changes.more { Next::GoOn } else { Next::Wait })
}
