//! `postmaster.pid`: the server that runs on a cluster, if there is one.
//!
//! The file survives a crash, and its process id may then belong to an unrelated process. Such a
//! file would prevent the server from starting, so the process is checked.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

/// Time limit of a fast shutdown, which mostly writes a last checkpoint.
pub(super) const FAST_STOP_LIMIT: Duration = Duration::from_secs(30);
/// Time limit of an immediate shutdown, which writes nothing.
pub(super) const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(5);
/// Interval between two checks of the process.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Line of the file that contains the server's status.
const STATUS_LINE: usize = 7;

/// Returns `true` if the file says that the server `pid` accepts connections.
pub(super) fn is_ready(cluster: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(cluster.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid)
        && lines.nth(STATUS_LINE - 1).is_some_and(|status| status.trim() == "ready")
}

/// Returns the running server of the cluster, according to its pid file.
pub(super) fn running(cluster: &Path) -> anyhow::Result<Option<Pid>> {
    let path = cluster.join("postmaster.pid");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
            Ok(pid
                .filter(|pid| *pid > 0)
                .map(Pid::from_raw)
                .filter(|pid| is_server_of(cluster, *pid)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Ensures that no server runs on the cluster and that its pid file does not prevent a start. The
/// caller holds the cluster's lock, so a running server has outlived the process that started it,
/// and is stopped. Adopting it would need a second way to supervise a server.
pub(super) async fn stop_leftover_server(cluster: &Path) -> anyhow::Result<()> {
    let path = cluster.join("postmaster.pid");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let first = text.lines().next().unwrap_or_default().trim();
    let Some(pid) = first.parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw) else {
        // The machine lost power between the creation of the file and the write to it; no process
        // survives that.
        tracing::warn!(file = %path.display(), "removing a pid file without a process id");
        return std::fs::remove_file(&path)
            .with_context(|| format!("cannot remove {}", path.display()));
    };
    if is_server_of(cluster, pid) {
        return stop_orphan(cluster, pid).await;
    }
    if kill(pid, None) != Err(nix::errno::Errno::ESRCH) {
        tracing::warn!(%pid, "stale pid file of the private PostgreSQL: its process id belongs to another program");
        mark_stale(&path, &text, first)?;
    }
    Ok(())
}

/// Replaces the foreign process id by ours, which a server treats as stale. Removing the file would
/// also remove the server's check that no process of a crashed server uses its shared memory, and
/// so the protection from two servers on the same files.
fn mark_stale(path: &Path, text: &str, first_line: &str) -> anyhow::Result<()> {
    let rest = text.trim_start().strip_prefix(first_line).unwrap_or_default();
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .and_then(|mut file| write!(file, "{}{rest}", std::process::id()))
        .with_context(|| format!("cannot correct the stale {}", path.display()))
}

/// Stops a server without a supervisor.
async fn stop_orphan(cluster: &Path, pid: Pid) -> anyhow::Result<()> {
    tracing::warn!(%pid, "stopping the PostgreSQL of a verbatim that has ended");
    for (signal, limit) in
        [(Signal::SIGINT, FAST_STOP_LIMIT), (Signal::SIGQUIT, IMMEDIATE_STOP_LIMIT)]
    {
        let _ = kill(pid, signal);
        let deadline = Instant::now() + limit;
        while is_server_of(cluster, pid) && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
        }
    }
    ensure!(
        !is_server_of(cluster, pid),
        "the PostgreSQL with process id {pid} still runs on {} and does not stop: end it with \
         `kill -9 {pid}`",
        cluster.display()
    );
    Ok(())
}

/// Returns `true` if the process is a server of this cluster. A zombie is not one: it has no
/// arguments.
fn is_server_of(cluster: &Path, pid: Pid) -> bool {
    let cluster = cluster.as_os_str().as_encoded_bytes();
    if Path::new("/proc/self/cmdline").exists() {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = arguments.split(|byte| *byte == 0).collect();
        return arguments.windows(2).any(|pair| pair == [b"-D", cluster]);
    }
    let listed =
        Command::new("ps").args(["-ww", "-o", "command=", "-p"]).arg(pid.to_string()).output();
    let wanted = [b" -D ", cluster].concat();
    listed.is_ok_and(|listed| listed.stdout.windows(wanted.len()).any(|part| part == wanted))
}
