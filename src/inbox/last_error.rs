//! The last error of the file, for the log lines of refused deliveries.

use std::sync::{Arc, Mutex, PoisonError};

use super::file::FileError;

/// Last error of the file, on one line. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastError(Arc<Mutex<Option<Arc<str>>>>);

impl LastError {
    /// Replaces the last error.
    pub(super) fn set(&self, error: &FileError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain(error).into());
    }

    /// Returns the last error.
    pub(super) fn get(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Formats an error with its causes on one line.
pub(super) fn chain(error: &FileError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let description = next.to_string();
        // Some errors repeat the text of their cause.
        if !text.ends_with(&description) {
            text.push_str(": ");
            text.push_str(&description);
        }
        cause = next.source();
    }
    text
}
