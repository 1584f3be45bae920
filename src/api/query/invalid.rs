//! Problems of parameters.

use crate::problem::{Code, Problem};

/// Returns the problem of a parameter's value: its name, and a description of valid values.
pub(crate) fn invalid(name: &str, description: &str) -> Problem {
    invalid_query(format!("`{name}` {description}."))
}

/// Returns the problem of a query.
pub(crate) fn invalid_query(detail: String) -> Problem {
    Problem::new(Code::InvalidParameter, detail)
}
