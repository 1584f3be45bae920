//! Metrics of the process, under the usual names of Prometheus exporters.

use metrics::{Counter, Gauge};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

use super::family;
use super::register::Register;
use crate::clock::Clock;

/// Metrics of the process. Values that the system does not provide stay at 0.
#[derive(Debug)]
pub(super) struct ProcessMetrics {
    cpu: Counter,
    memory: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
}

impl ProcessMetrics {
    pub(super) fn new(register: &Register, clock: &Clock) -> Self {
        let gauge = |family| register.gauge(family, &[]);
        gauge(family::START).set(seconds(clock.now()));
        register.gauge(family::BUILD, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        Self {
            cpu: register.counter(family::CPU, &[]),
            memory: gauge(family::MEMORY),
            open_fds: gauge(family::OPEN_FDS),
            max_fds: gauge(family::MAX_FDS),
        }
    }

    /// Updates all values.
    pub(super) fn update(&self) {
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let (user, system) = (usage.user_time(), usage.system_time());
            let micros = user.tv_usec() + system.tv_usec();
            let seconds = user.tv_sec() + system.tv_sec() + micros / 1_000_000;
            self.cpu.absolute(seconds.try_into().unwrap_or(0));
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            self.max_fds.set(lossy(i64::try_from(soft).unwrap_or(i64::MAX)));
        }
        // The first exists on Linux only, the second on all supported systems.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident_bytes(&status) {
            self.memory.set(bytes);
        }
        if let Ok(open) = std::fs::read_dir("/dev/fd") {
            // One descriptor is that of this read.
            self.open_fds.set(super::inbox::count(open.count().saturating_sub(1)));
        }
    }
}

/// Parses `VmRSS` of `/proc/self/status`, which is in KiB.
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Returns the seconds of Unix time.
pub(super) fn seconds(at: chrono::DateTime<chrono::Utc>) -> f64 {
    lossy(at.timestamp_micros()) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2⁵³, and a figure beyond that")]
pub(super) fn lossy(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_parsed_in_bytes() {
        let status = "Name:\tverbatim\nVmHWM:\t   99999 kB\nVmRSS:\t   20480 kB\nThreads:\t5\n";
        assert_eq!(resident_bytes(status), Some(20_971_520.0));
        assert_eq!(resident_bytes("Name:\tverbatim\n"), None);
    }
}
