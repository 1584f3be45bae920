//! Source of the current time. All other code receives a [`Clock`], so that a test can set the
//! time.

#[cfg(test)]
pub(crate) mod linear;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Clock of the machine, or of a test. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// Returns a clock that shows `at` until [`Clock::set`] changes it.
    #[must_use]
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.timestamp_micros()))))
    }

    /// Sets a fixed clock. Does nothing to the machine's clock.
    pub fn set(&self, at: DateTime<Utc>) {
        if let Some(fixed) = &self.0 {
            fixed.store(at.timestamp_micros(), Ordering::Relaxed);
        }
    }

    /// Returns the current time in whole microseconds, the resolution of Postgres.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only caller")]
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.0 {
            None => Utc::now().timestamp_micros(),
            Some(fixed) => fixed.load(Ordering::Relaxed),
        };
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }
}
