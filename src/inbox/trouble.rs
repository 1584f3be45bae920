//! What is wrong with the file, for those who are refused: the log of their request tells it.

use std::sync::{Arc, Mutex, PoisonError};

use super::file::FileError;

/// What is wrong with the file. Cheap to clone; all clones tell the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Arc<str>>>>);

impl Trouble {
    /// This is, from now on.
    pub(super) fn is(&self, error: &FileError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain(error).into());
    }

    /// What was said last.
    pub(super) fn told(&self) -> Option<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &FileError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let said = next.to_string();
        // Some repeat what is beneath them.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = next.source();
    }
    text
}
