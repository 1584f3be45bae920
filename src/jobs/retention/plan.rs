//! Dry run of retention.

use chrono::{DateTime, Utc};

use super::limits;
use super::log::QUARANTINE_FACTOR;
use crate::config::Keep;
use crate::store::old::Old;
use crate::store::{Store, StoreError};

/// Returns the expired rows by table and source, without deleting them.
pub async fn plan(store: &Store, now: DateTime<Utc>, keep: &Keep) -> Result<Vec<Old>, StoreError> {
    let mut old = store.old_conversations(&limits(now, &keep.messages, 1)).await?;
    let of_quarantine = limits(now, &keep.deliveries, QUARANTINE_FACTOR);
    old.extend(store.old_deliveries(&limits(now, &keep.deliveries, 1), &of_quarantine).await?);
    Ok(old)
}
