//! Retry of quarantined deliveries: a delivery is decoded again, and stored if this version can
//! read it and Postgres accepts it.

use super::failure::{self, Fault};
use super::write::refusal;
use crate::decode::decode;
use crate::domain::{Arrival, Outcome, Unreadable};
use crate::store::{Store, StoreError};

/// Reason why a delivery stays unchanged.
#[derive(Debug, thiserror::Error)]
pub enum NotRetried {
    /// The delivery still cannot be read, or Postgres still refuses it.
    #[error("it still cannot be read: {0}")]
    Unreadable(Unreadable),
    /// The delivery is not in quarantine; another retry may have stored it.
    #[error("it is not in quarantine")]
    NotQuarantined,
    /// Error of the database or of the service.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Stores a quarantined delivery, and returns its outcome. A second or concurrent retry returns
/// [`NotRetried::NotQuarantined`].
pub async fn retry(store: &Store, arrival: &Arrival) -> Result<Outcome, NotRetried> {
    let delivery = decode(arrival).map_err(NotRetried::Unreadable)?;
    match store.release(arrival, delivery).await {
        Ok(Some(outcome)) => {
            tracing::info!(delivery = %arrival.id.0, outcome = outcome.as_str(),
                "quarantined delivery stored");
            Ok(outcome)
        }
        Ok(None) => Err(NotRetried::NotQuarantined),
        Err(StoreError::Refused(error)) if failure::classify(&error) == Fault::Data => {
            Err(NotRetried::Unreadable(Unreadable::new("body", refusal(&error))))
        }
        Err(error) => Err(error.into()),
    }
}
