//! What the log of deliveries and the default partitions tell of a service's health, for
//! `verbatim doctor`. Every count ends at a limit: what is looked for is whether there are any.

use chrono::{DateTime, Utc};

use super::{Store, StoreError};

/// As far as rows are counted.
pub const COUNTED: i64 = 10_000;

/// A delivery as the log has it, without what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDelivery {
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Which source let it in.
    pub source: String,
    /// What became of it.
    pub outcome: String,
}

/// Rows of default partitions, counted up to [`COUNTED`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strays {
    /// Messages of months that have no partition.
    pub messages: i64,
    /// Deliveries of days that had none when they came.
    pub deliveries: i64,
}

impl Store {
    /// The delivery that came last.
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

    /// The test delivery that came last since then.
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

    /// How many went to quarantine since then, up to [`COUNTED`].
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

    /// What lies in the default partitions.
    pub async fn strays(&self) -> Result<Strays, StoreError> {
        let strays = sqlx::query_as!(
            Strays,
            r#"SELECT (SELECT count(*) FROM (SELECT FROM messages_default LIMIT $1) AS counted)
                          AS "messages!",
                      (SELECT count(*) FROM (SELECT FROM deliveries_default LIMIT $1) AS counted)
                          AS "deliveries!""#,
            COUNTED
        );
        Ok(strays.fetch_one(self.pool()).await?)
    }
}
