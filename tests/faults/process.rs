//! Processes: signals, children, memory.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// How long a process may take to end that was asked to.
pub(crate) const END_MAX: Duration = Duration::from_secs(40);

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(pid)?);
    nix::sys::signal::kill(pid, signal).with_context(|| format!("{signal} to {pid}"))
}

/// The processes that `parent` has started.
pub(crate) fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let output = std::process::Command::new("ps")
        .args(["-o", "pid=", "--ppid", &parent.to_string()])
        .output()
        .context("ps")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
}

/// The most memory that a process has held, in bytes; `None` where this system does not tell.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
