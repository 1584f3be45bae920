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

/// The one code of these classes that is not the data's fault: no check of ours depends on what a
/// delivery says, but a row on its way to the default partition fails the partition's check when
/// the partition that it belongs to is attached at that moment. Tried again, it goes there.
const CHECK_VIOLATION: &str = "23514";

pub(super) fn of(error: &sqlx::Error) -> Fault {
    match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) if code == CHECK_VIOLATION => Fault::Database,
        Some(code) if DATA_CLASSES.iter().any(|class| code.starts_with(class)) => Fault::Data,
        _ => Fault::Database,
    }
}
