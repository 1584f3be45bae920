//! Time limit of checks that query a database or a file.

use std::time::Duration;

/// Limit on the time of one query of a database or a file.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(15);
