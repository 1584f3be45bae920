//! `postmaster.pid`: which server runs on a cluster, if any does.
//!
//! The file outlives a crash, and its process id may since have gone to a process that has nothing
//! to do with us. Such a file would keep the server from starting, so we look at the process.

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

/// How long a server may take for a fast shutdown: mostly for its last checkpoint.
pub(super) const FAST_STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take for an immediate one, which writes nothing.
pub(super) const IMMEDIATE_STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often we look.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The line of the file that tells how far the server is.
const STATUS_LINE: usize = 7;

/// The server has written that it takes connections.
pub(super) fn says_ready(cluster: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(cluster.join("postmaster.pid")) else {
        return false;
    };
    let mut lines = text.lines();
    lines.next().and_then(|line| line.trim().parse().ok()) == Some(pid)
        && lines.nth(STATUS_LINE - 1).is_some_and(|status| status.trim() == "ready")
}

/// The server that runs on the cluster, as far as its pid file tells.
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

/// Makes sure that no server runs on the cluster and that its pid file keeps none from starting.
/// The caller holds the cluster's lock, so a server that runs has outlived the verbatim that
/// started it: it is stopped. Adopting it would need a second way to watch over a server.
pub(super) async fn clear_the_way(cluster: &Path) -> anyhow::Result<()> {
    let path = cluster.join("postmaster.pid");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let first = text.lines().next().unwrap_or_default().trim();
    let Some(pid) = first.parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw) else {
        // The machine lost power between making the file and writing to it; no process outlives that.
        tracing::warn!(file = %path.display(), "removing a pid file that names no process");
        return std::fs::remove_file(&path)
            .with_context(|| format!("cannot remove {}", path.display()));
    };
    if is_server_of(cluster, pid) {
        return stop_orphan(cluster, pid).await;
    }
    if kill(pid, None) != Err(nix::errno::Errno::ESRCH) {
        tracing::warn!(%pid, "the pid file of the private PostgreSQL names a foreign process, so it is stale");
        disown(&path, &text, first)?;
    }
    Ok(())
}

/// Writes our own process id over the foreign one: a server takes its parent's for stale. Removing
/// the file would also remove the server's check that no process of a crashed server still uses
/// its shared memory, and with it the protection from two servers on the same files.
fn disown(path: &Path, text: &str, first_line: &str) -> anyhow::Result<()> {
    let rest = text.trim_start().strip_prefix(first_line).unwrap_or_default();
    OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .and_then(|mut file| write!(file, "{}{rest}", std::process::id()))
        .with_context(|| format!("cannot correct the stale {}", path.display()))
}

/// Stops a server that nobody watches over.
async fn stop_orphan(cluster: &Path, pid: Pid) -> anyhow::Result<()> {
    tracing::warn!(%pid, "taking over: stopping the PostgreSQL of a verbatim that is gone");
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

/// The process is a server that was started on the cluster. A zombie is not: it has no arguments.
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
