//! Queries on the health of a service for `verbatim doctor`: the log of deliveries and the default
//! partitions. Counts end at a limit, since only their presence matters.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};

/// Limit of every count.
pub const COUNTED: i64 = 10_000;

/// Delivery in the log, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDelivery {
    /// Time of arrival.
    pub received_at: DateTime<Utc>,
    /// Source that accepted it.
    pub source: String,
    /// Outcome.
    pub outcome: String,
}

/// Rows of default partitions, counted up to [`COUNTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultPartitionRows {
    /// Messages of months without a partition.
    pub messages: i64,
    /// Deliveries of days that had no partition when they arrived.
    pub deliveries: i64,
}

impl Store {
    /// Returns the latest delivery.
    pub async fn last_delivery(&self) -> Result<Option<LoggedDelivery>, StoreError> {
        let found = sqlx::query_as!(
            LoggedDelivery,
            "SELECT received_at, source, outcome
               FROM deliveries
              ORDER BY received_at DESC, id DESC
              LIMIT 1"
        );
        Ok(found.fetch_optional(self.pool()).await?)
    }

    /// Returns the latest test delivery since a time.
    pub async fn last_test_since(
        &self,
        since: DateTime<Utc>,
    ) -> Result<Option<LoggedDelivery>, StoreError> {
        let found = sqlx::query_as!(
            LoggedDelivery,
            "SELECT received_at, source, outcome
               FROM deliveries
              WHERE outcome = 'test'
                AND received_at >= $1
              ORDER BY received_at DESC, id DESC
              LIMIT 1",
            since
        );
        Ok(found.fetch_optional(self.pool()).await?)
    }

    /// Counts deliveries quarantined since a time, up to [`COUNTED`].
    pub async fn quarantined_since(&self, since: DateTime<Utc>) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!"
                 FROM (
                      SELECT
                        FROM deliveries
                       WHERE outcome = 'quarantined'
                         AND received_at >= $1
                       LIMIT $2
                 ) AS counted"#,
            since,
            COUNTED
        );
        Ok(count.fetch_one(self.pool()).await?)
    }

    /// Counts the rows in the default partitions.
    pub async fn strays(&self) -> Result<DefaultPartitionRows, StoreError> {
        let strays = sqlx::query_as!(
            DefaultPartitionRows,
            r#"SELECT (SELECT count(*) FROM (SELECT FROM messages_default LIMIT $1) AS counted)
                          AS "messages!",
                      (SELECT count(*) FROM (SELECT FROM deliveries_default LIMIT $1) AS counted)
                          AS "deliveries!""#,
            COUNTED
        );
        Ok(strays.fetch_one(self.pool()).await?)
    }
}
