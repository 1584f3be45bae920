//! Metrics of firing alerts and their notifications.

use metrics::{Counter, Gauge};

use super::family;
use super::process::lossy;
use super::register::Register;

/// Metrics of alerts.
#[derive(Debug)]
pub struct AlertMetrics {
    firing: Gauge,
    delivered: Counter,
    failed: Counter,
    given_up: Counter,
}

impl AlertMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let attempts = |outcome| register.counter(family::ALERT_ATTEMPTS, &[("outcome", outcome)]);
        Self {
            firing: register.gauge(family::ALERTS_FIRING, &[]),
            delivered: attempts("delivered"),
            failed: attempts("failed"),
            given_up: attempts("given_up"),
        }
    }

    /// Sets the number of firing alerts.
    pub fn set_firing(&self, count: usize) {
        self.firing.set(lossy(i64::try_from(count).unwrap_or(i64::MAX)));
    }

    /// Counts an attempt to send a notification.
    pub fn attempted(&self, delivered: bool, given_up: bool) {
        match (delivered, given_up) {
            (true, _) => self.delivered.increment(1),
            (false, true) => self.given_up.increment(1),
            (false, false) => self.failed.increment(1),
        }
    }
}
