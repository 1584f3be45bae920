//! Keeps the journal by agent up to date while there are keys bound to agents, so that their
//! readers need not catch up.

use std::time::Duration;

use crate::lifecycle::Lifecycle;
use crate::store::{Store, StoreError};

/// Interval of the job. A reader catches up with the rest.
const INTERVAL: Duration = Duration::from_secs(10);
/// Longest work without a pause. The pause is as long, so that other work can proceed.
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
                    "journal by agent not updated"
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

/// Updates the journal by agent if there is a bound key; returns `true` if nothing is left to do.
pub async fn run_once(store: &Store) -> Result<bool, StoreError> {
    Ok(!store.has_bound_keys().await? || store.follow_journal(WORK).await?)
}
