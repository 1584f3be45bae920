//! The log of deliveries from its beginning, a stretch at a time: so that whoever looks for what no
//! index leads to does a bounded amount of work in a statement, however long the log is.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::page::BEFORE_ALL;

/// Deliveries of a stretch: some tens of milliseconds, also where all of them go.
const DELIVERIES: i64 = 2_000;

/// A place in the log.
type Place = (DateTime<Utc>, Uuid);

/// What lies behind the first place, up to the second one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) after: Place,
    pub(super) to: Place,
}

/// How far somebody has come.
#[derive(Debug)]
pub(super) struct LogWalk {
    /// `None` at the end.
    after: Option<Place>,
    until: DateTime<Utc>,
}

impl LogWalk {
    /// Along all that arrived up to a time.
    pub(super) fn up_to(until: DateTime<Utc>) -> Self {
        Self { after: Some((BEFORE_ALL, Uuid::nil())), until }
    }

    /// The next stretch.
    pub(super) async fn next(
        &mut self,
        connection: &mut PgConnection,
    ) -> Result<Option<Stretch>, sqlx::Error> {
        let Some(after) = self.after else { return Ok(None) };
        // The first bound says nothing that the second does not, and leaves out partitions.
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
        Ok(Some(Stretch { after, to }))
    }
}
