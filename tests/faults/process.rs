//! Processes: signals, children, memory.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Longest time until a process ends after its stop signal.
pub(crate) const END_MAX: Duration = Duration::from_secs(40);

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    nix::sys::signal::kill(pid, signal).with_context(|| format!("{signal} to {pid}"))
}

/// Returns the child processes of `parent`.
pub(crate) fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let output = std::process::Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .context("ps")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// Returns the peak memory of a process in bytes, or `None` on systems that do not report it.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
