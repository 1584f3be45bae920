//! One batch: decoded, written in one transaction, and taken apart where Postgres refuses data.

use std::borrow::Cow;

use sqlx::postgres::PgConnection;

use super::connection::is_data_fault;
use crate::decode::Received;
use crate::domain::{Roles, Unreadable};
use crate::store::ingest::{self, Row};
use crate::telemetry::metrics::DrainMetrics;

/// Writes a batch. Where a delivery's data is refused the batch is halved until that delivery
/// stands alone; it goes to quarantine, and all others are stored. An error is the database's.
/// What has been committed by then is counted; with the next attempt it is a repeat of itself.
pub(super) async fn batch(
    connection: &mut PgConnection,
    deliveries: &[&Received],
    roles: &Roles,
    metrics: &DrainMetrics,
) -> Result<(), sqlx::Error> {
    let mut rows: Vec<Row<'_>> = deliveries.iter().copied().map(Row::from).collect();
    // Parts yet to be written, from and to; the whole at first.
    let mut parts = vec![(0, rows.len())];
    while let Some((from, to)) = parts.pop() {
        let part = &rows[from..to];
        let error = match ingest::write_counting(connection, part, roles).await {
            Ok(outcomes) => {
                metrics.committed(part.iter().zip(outcomes).map(|(row, outcome)| {
                    (row.arrival, row.delivery().map(|read| &read.event), outcome)
                }));
                continue;
            }
            Err(error) => error,
        };
        if !is_data_fault(&error) {
            return Err(error);
        }
        if to - from > 1 {
            let middle = from.midpoint(to);
            parts.push((middle, to));
            parts.push((from, middle));
            continue;
        }
        let row = &mut rows[from];
        if row.read.is_err() {
            // It is in quarantine already, and even that is refused: nothing in it is the
            // delivery's but bytes, so the fault is not its own.
            return Err(error);
        }
        let reason = refusal(&error);
        tracing::error!(delivery = %row.arrival.id.0, %reason, "Postgres refuses a delivery; \
            its bytes are kept in quarantine");
        row.read = Cow::Owned(Err(Unreadable::new("body", reason)));
        parts.push((from, to));
    }
    Ok(())
}

/// What Postgres says of the data, without its detail: that would quote the conversation.
pub(super) fn refusal(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error() else {
        return "Postgres refuses it".into();
    };
    let code = error.code().unwrap_or_default();
    format!("Postgres refuses it with SQLSTATE {code}")
}
