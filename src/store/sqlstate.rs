//! Errors of the database by SQLSTATE: which of them are its state, and which are a fault of ours.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// What `PostgreSQL` calls the check that a plan still fits, after a migration beside us. The same
/// query is planned anew over another connection.
const STALE_PLAN: &str = "RevalidateCachedQuery";

/// The database is in a state in which it cannot answer, and the query is not at fault.
pub(super) fn is_state(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    let code = code.as_ref();
    let is_stale_plan = || {
        let error = error.try_downcast_ref::<PgDatabaseError>();
        error.and_then(PgDatabaseError::routine) == Some(STALE_PLAN)
    };
    code_is_state(code) || is_stale_plan()
}

/// The same query succeeds once the state has changed.
fn code_is_state(code: &str) -> bool {
    match code.get(..2) {
        // Connection; a prepared statement that a pooler lost; authorization (a password that was
        // changed); a database or a schema that is gone; rollback (a deadlock, a serialization
        // failure); resources (disk, memory, connections); a lock that was not available; an
        // operator (a shutdown, a query that took too long); the system (I/O).
        Some("08" | "26" | "28" | "3D" | "3F" | "40" | "53" | "55" | "57" | "58") => true,
        // A transaction that is read-only, or that was ended for its silence or its length.
        Some("25") => matches!(code, "25006" | "25P03" | "25P04"),
        // A privilege that the role lacks; a table, column or function that is not there, or is
        // another version's; prepared statements that a pooler mixed up.
        Some("42") => matches!(code, "42501" | "42P01" | "42703" | "42883" | "42P05"),
        _ => false,
    }
}

/// What to do about a state that does not pass by itself.
pub(super) fn hint(code: &str) -> Option<&'static str> {
    match code {
        "25006" => Some(
            "the database is read-only: connect to the primary, or see where \
             default_transaction_read_only is set",
        ),
        "26000" | "42P05" => Some("a pooler mixes up connections: set its pool_mode to session"),
        "3F000" | "42P01" => Some("the database's tables are missing: run `verbatim migrate`"),
        "42501" => Some("the database's role lacks a privilege: `verbatim doctor` says which"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_a_state_of_the_database_or_a_fault_of_ours() {
        // A code of each class of PostgreSQL's appendix A, and all that are told apart within one.
        let states = [
            "08006", "08P01", "25006", "25P03", "25P04", "26000", "28000", "28P01", "3D000",
            "3F000", "40001", "40P01", "42501", "42703", "42883", "42P01", "42P05", "53100",
            "53200", "53300", "55P03", "55006", "57014", "57P01", "57P03", "58030", "58P01",
        ];
        let faults = [
            "0A000", "0B000", "0F000", "0L000", "0P000", "0Z000", "03000", "09000", "20000",
            "21000", "22001", "22021", "23505", "23514", "24000", "25000", "25001", "25P01",
            "25P02", "27000", "2B000", "2D000", "2F000", "34000", "38000", "39000", "3B000",
            "42601", "42804", "42P02", "44000", "54000", "54001", "72000", "F0000", "HV000",
            "P0001", "XX000", "XX001",
        ];
        for code in states {
            assert!(code_is_state(code), "{code}");
        }
        for code in faults {
            assert!(!code_is_state(code), "{code}");
        }
    }
}
