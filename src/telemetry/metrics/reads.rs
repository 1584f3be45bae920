//! Answers by the server that they were read from, and how far the standby is behind.

use metrics::{Counter, Gauge};

use super::process::lossy;
use super::{Register, family};

/// Counts reads. Cheap to clone.
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

    /// An answer was read from the primary.
    pub fn read_primary(&self) {
        self.primary.increment(1);
    }

    /// An answer was read from the standby.
    pub fn read_standby(&self) {
        self.standby.increment(1);
    }

    /// A read failed on the standby, and is done again on the primary.
    pub fn repeat(&self) {
        self.repeated.increment(1);
    }
}

/// How the standby is, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReplicaLag {
    /// Answers are read from it.
    pub used: bool,
    /// How far it is behind; `None` where that is not known.
    pub seconds: Option<f64>,
    /// Log that it has not replayed, in bytes; `None` where that is not known.
    pub bytes: Option<i64>,
}

/// The gauges for it.
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

    pub(super) fn show(&self, lag: &ReplicaLag) {
        self.used.set(f64::from(lag.used));
        self.seconds.set(lag.seconds.unwrap_or(0.0));
        self.bytes.set(lag.bytes.map_or(0.0, lossy));
    }
}
