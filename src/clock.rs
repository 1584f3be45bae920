//! The one place that asks what time it is. Everything else is handed a [`Clock`], so that a
//! test can hold time still.

#[cfg(test)]
pub(crate) mod linear;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Tells the time: the machine's, or a test's. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until [`Clock::set`] moves it.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    /// Moves a fixed clock; the machine's clock is not ours to move.
    pub fn set(&self, at: DateTime<Utc>) {
        if let Some(held) = &self.0 {
            held.store(at.timestamp_micros(), Ordering::Relaxed);
        }
    }

    /// Now, in whole microseconds: Postgres keeps no finer.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one caller")]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.0 {
            None => Utc::now().timestamp_micros(),
            Some(held) => held.load(Ordering::Relaxed),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }
}
