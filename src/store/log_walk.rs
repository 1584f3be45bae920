//! Walks through the log of deliveries from its beginning, one range at a time: a statement without
//! a suitable index does a bounded amount of work, however long the log is.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::page::BEFORE_ALL;

/// Deliveries in a range: some tens of milliseconds, even if all of them are deleted.
const DELIVERIES: i64 = 2_000;

/// Position in the log.
type Place = (DateTime<Utc>, Uuid);

/// Range after `after`, up to and including `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogRange {
    pub(super) after: Place,
    pub(super) to: Place,
}

/// Progress of a walk.
#[derive(Debug)]
pub(super) struct LogWalk {
    /// End of the last range; `None` at the end of the log.
    after: Option<Place>,
    until: DateTime<Utc>,
}

impl LogWalk {
    /// Creates a walk along everything that arrived up to a time.
    pub(super) fn up_to(until: DateTime<Utc>) -> Self {
        Self { after: Some((BEFORE_ALL, Uuid::nil())), until }
    }

    /// Returns the next range.
    pub(super) async fn next(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<LogRange>, sqlx::Error> {
        let Some(after) = self.after else { return Ok(None) };
        // The first condition is implied by the second, but excludes partitions.
        let end = sqlx::query!(
            "SELECT received_at, id
             FROM deliveries
             WHERE received_at >= $1 AND (received_at, id) > ($1, $2) AND received_at <= $3
             ORDER BY received_at, id
             OFFSET $4
             LIMIT 1",
            after.0,
            after.1,
            self.until,
            DELIVERIES - 1,
        )
        .fetch_optional(connection)
        .await?;
        self.after = end.map(|end| (end.received_at, end.id));
        let to = self.after.unwrap_or((self.until, Uuid::max()));
        Ok(Some(LogRange { after, to }))
    }
}
