//! Dry run of retention.

use chrono::{DateTime, Utc};

use super::limits;
use super::log::QUARANTINE_FACTOR;
use crate::config::RetentionRules;
use crate::store::retention::ExpiredRows;
use crate::store::{Store, StoreError};

/// Returns the expired rows by table and source, without deleting them.
pub async fn plan(
    store: &Store,
    now: DateTime<Utc>,
    keep: &RetentionRules,
) -> Result<Vec<ExpiredRows>, StoreError> {
    let mut old = store.count_expired_conversations(&limits(now, &keep.messages, 1)).await?;
    let of_quarantine = limits(now, &keep.deliveries, QUARANTINE_FACTOR);
    old.extend(
        store.count_expired_deliveries(&limits(now, &keep.deliveries, 1), &of_quarantine).await?,
    );
    Ok(old)
}
