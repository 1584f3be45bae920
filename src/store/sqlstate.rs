//! Classifies errors of the database by SQLSTATE: its state, or a fault in Verbatim.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;

/// Routine in which `PostgreSQL` finds that a plan is stale, after a migration by another process.
/// Another connection plans the query afresh.
const STALE_PLAN: &str = "RevalidateCachedQuery";

/// Reports whether the error is due to the state of the database and not to the query.
pub(super) fn is_state(error: &dyn DatabaseError) -> bool {
    let Some(code) = error.code() else { return false };
    let code = code.as_ref();
    let is_stale_plan = || {
        let error = error.try_downcast_ref::<PgDatabaseError>();
        error.and_then(PgDatabaseError::routine) == Some(STALE_PLAN)
    };
    code_is_state(code) || is_stale_plan()
}

/// Reports whether the same query succeeds once the state has changed.
fn code_is_state(code: &str) -> bool {
    match code.get(..2) {
        // Connection; a prepared statement that a pooler lost; authorization (a changed password);
        // a missing database or schema; rollback (deadlock, serialization failure); resources
        // (disk, memory, connections); lock not available; operator intervention (shutdown, query
        // timeout); system (I/O).
        Some("08" | "26" | "28" | "3D" | "3F" | "40" | "53" | "55" | "57" | "58") => true,
        // A read-only transaction, or one that was ended by a timeout.
        Some("25") => matches!(code, "25006" | "25P03" | "25P04"),
        // A missing privilege; a table, column or function that is missing or of another version;
        // prepared statements that a pooler mixed up.
        Some("42") => matches!(code, "42501" | "42P01" | "42703" | "42883" | "42P05"),
        _ => false,
    }
}

/// Returns a hint for a state that needs an operator.
pub(super) fn hint(code: &str) -> Option<&'static str> {
    match code {
        "25006" => Some(
            "the database is read-only: connect to the primary, or check where \
             default_transaction_read_only is set",
        ),
        "26000" | "42P05" => Some("pooler mixed up sessions: set its pool_mode to session"),
        "3F000" | "42P01" => Some("the database's tables are missing: run `verbatim migrate`"),
        "42501" => Some("the database's role lacks a privilege: `verbatim doctor` names it"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_class_is_classified() {
        // A code of each class in PostgreSQL's appendix A, and all codes that the match names.
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
