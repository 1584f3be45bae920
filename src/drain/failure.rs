//! Classification of database errors: fault of the data or of the database.

use sqlx::error::DatabaseError;

/// Cause of a failed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A delivery's data: the same write always fails.
    Data,
    /// The database or the connection: the same write succeeds later.
    Database,
}

/// Classes of SQLSTATE that a delivery's own data causes: data exception, integrity violation,
/// and program limit exceeded (a value too large for an index).
const DATA_CLASSES: [&str; 3] = ["22", "23", "54"];

/// The only code of these classes that is not the data's fault. No check constraint depends on a
/// delivery's content. But a row for the default partition fails that partition's check if its own
/// partition is attached at that moment; a retry stores it there.
const CHECK_VIOLATION: &str = "23514";

pub(super) fn classify(error: &sqlx::Error) -> Fault {
    match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) if code == CHECK_VIOLATION => Fault::Database,
        Some(code) if DATA_CLASSES.iter().any(|class| code.starts_with(class)) => Fault::Data,
        _ => Fault::Database,
    }
}

/// Returns true if a failed write is the fault of one delivery's data.
pub(super) fn is_data_fault(error: &sqlx::Error) -> bool {
    classify(error) == Fault::Data
}
