//! Whose fault an error is.

use sqlx::error::DatabaseError;

/// Whose fault a failed write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A delivery's: the same write fails for ever.
    Data,
    /// The database's, or the way's to it: the same write will work one day.
    Database,
}

/// Classes of SQLSTATE that a delivery's own data causes: data exception, integrity violation,
/// and program limit exceeded (a value too large for an index).
const DATA_CLASSES: [&str; 3] = ["22", "23", "54"];

pub(super) fn of(error: &sqlx::Error) -> Fault {
    match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) if DATA_CLASSES.iter().any(|class| code.starts_with(class)) => Fault::Data,
        _ => Fault::Database,
    }
}
