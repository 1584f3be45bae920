//! Keeps the journal by agent near the journal's end, where keys are bound to agents: so that
//! their readers find it up to date.

use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::store::{Store, StoreError};

/// How often the job runs. A reader brings the rest up to date by itself.
const INTERVAL: Duration = Duration::from_secs(10);
/// Longest that it works without a pause; then it pauses as long, so that others have their turn.
const WORK: Duration = Duration::from_millis(500);

/// Runs until the service stops.
pub async fn run(store: Store, life: Lifecycle) {
    while !life.is_stopping() {
        let pause = match run_once(&store).await {
            Ok(true) => INTERVAL,
            Ok(false) => WORK,
            Err(error) => {
                tracing::debug!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "journal by agent not brought up to date"
                );
                INTERVAL
            }
        };
        tokio::select! {
            () = life.stopping() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Brings the journal by agent nearer to the journal's end, where a key is bound; returns whether
/// nothing is left to do.
pub async fn run_once(store: &Store) -> Result<bool, StoreError> {
    Ok(!store.has_bound_keys().await? || store.follow_journal(WORK).await?)
}
