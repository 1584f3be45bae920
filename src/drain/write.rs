//! Write of one batch: one transaction, halved while Postgres refuses its data.

use std::borrow::Cow;

use sqlx::postgres::PgConnection;

use super::failure::is_data_fault;
use crate::decode::Received;
use crate::domain::{Roles, Unreadable};
use crate::store::ingest::{self, Row};
use crate::telemetry::metrics::DrainMetrics;

/// Writes a batch. If Postgres refuses a delivery's data, the batch is halved until that delivery
/// is alone. It goes to quarantine, and all others are stored.
///
/// # Errors
///
/// Returns errors of the database only. Parts committed before the error are counted; the retry
/// stores them as duplicates.
pub(super) async fn batch(
    connection: &mut PgConnection,
    deliveries: &[&Received],
    roles: &Roles,
    metrics: &DrainMetrics,
) -> Result<(), sqlx::Error> {
    let mut rows: Vec<Row<'_>> = deliveries.iter().copied().map(Row::from).collect();
    // Ranges of rows that are not written yet; at first the whole batch.
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
            // The row is for quarantine already: its only content of the delivery is bytes, so
            // the error is not the delivery's fault.
            return Err(error);
        }
        let reason = refusal(&error);
        tracing::error!(delivery = %row.arrival.id.0, %reason, "delivery refused by Postgres; \
            its bytes are kept in quarantine");
        row.read = Cow::Owned(Err(Unreadable::new("body", reason)));
        parts.push((from, to));
    }
    Ok(())
}

/// Returns the SQLSTATE of a refusal, without its detail, which would quote the conversation.
pub(super) fn refusal(error: &sqlx::Error) -> String {
    let Some(error) = error.as_database_error() else {
        return "Postgres refuses it".into();
    };
    let code = error.code().unwrap_or_default();
    format!("Postgres refuses it with SQLSTATE {code}")
}
