//! Out of quarantine: a delivery is decoded anew, and stored where it can be read by now, or where
//! Postgres takes by now what it refused.

use super::failure::{self, Fault};
use super::write::refusal;
use crate::decode::decode;
use crate::domain::{Arrival, Outcome, Unreadable};
use crate::store::{Store, StoreError};

/// A delivery stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum NotRetried {
    /// It still cannot be read, or Postgres still refuses it.
    #[error("it still cannot be read: {0}")]
    Unreadable(Unreadable),
    /// It is not in quarantine: somebody else may have been quicker.
    #[error("it is not in quarantine")]
    NotQuarantined,
    /// The database's fault, or ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a delivery that lies in quarantine, and says what became of it. Whoever does so again, or
/// at the same time, finds that it is not there any more.
pub async fn retry(store: &Store, arrival: &Arrival) -> Result<Outcome, NotRetried> {
    let delivery = decode(arrival).map_err(NotRetried::Unreadable)?;
    match store.release(arrival, delivery).await {
        Ok(Some(outcome)) => {
            tracing::info!(delivery = %arrival.id.0, outcome = outcome.as_str(),
                "a delivery came out of quarantine");
            Ok(outcome)
        }
        Ok(None) => Err(NotRetried::NotQuarantined),
        Err(StoreError::Refused(error)) if failure::of(&error) == Fault::Data => {
            Err(NotRetried::Unreadable(Unreadable::new("body", refusal(&error))))
        }
        Err(error) => Err(error.into()),
    }
}
