//! Metrics of reads by server, and of the standby's lag.

use metrics::{Counter, Gauge};

use super::family;
use super::process::lossy;
use super::register::Register;

/// Metrics of reads. Cheap to clone.
#[derive(Clone)]
pub struct ReadMetrics {
    primary: Counter,
    standby: Counter,
    repeated: Counter,
}

impl std::fmt::Debug for ReadMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadMetrics").finish_non_exhaustive()
    }
}

impl ReadMetrics {
    pub(super) fn new(register: &Register) -> Self {
        let reads = |server| register.counter(family::READS, &[("server", server)]);
        Self {
            primary: reads("primary"),
            standby: reads("standby"),
            repeated: register.counter(family::READS_REPEATED, &[]),
        }
    }

    /// Counts a read of the primary.
    pub fn read_primary(&self) {
        self.primary.increment(1);
    }

    /// Counts a read of the standby.
    pub fn read_standby(&self) {
        self.standby.increment(1);
    }

    /// Counts a read that failed on the standby and is repeated on the primary.
    pub fn repeat(&self) {
        self.repeated.increment(1);
    }
}

/// State of the standby.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplicaLag {
    /// Reads use it.
    pub used: bool,
    /// Lag in seconds; `None` if unknown.
    pub seconds: Option<f64>,
    /// Transaction log that it has not replayed, in bytes; `None` if unknown.
    pub bytes: Option<i64>,
}

/// Gauges of the standby.
#[derive(Debug)]
pub(super) struct ReplicaGauges {
    used: Gauge,
    seconds: Gauge,
    bytes: Gauge,
}

impl ReplicaGauges {
    pub(super) fn new(register: &Register) -> Self {
        let gauge = |family| register.gauge(family, &[]);
        Self {
            used: gauge(family::REPLICA_USED),
            seconds: gauge(family::REPLICA_LAG),
            bytes: gauge(family::REPLICA_LAG_BYTES),
        }
    }

    pub(super) fn update(&self, lag: &ReplicaLag) {
        self.used.set(f64::from(lag.used));
        self.seconds.set(lag.seconds.unwrap_or(0.0));
        self.bytes.set(lag.bytes.map_or(0.0, lossy));
    }
}
