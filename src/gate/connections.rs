//! How many connections are held open at once, and the files that they need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Most connections over all workers; further ones wait in the kernel's queue. Far above what
/// senders and readers need, and a bound on the memory of those that are open: ARCHITECTURE.md
/// says how much.
const MOST_CONNECTIONS: usize = 8_192;
/// Files that are not for connections: the inbox, Postgres, the log, and room to spare. A crowd of
/// clients must not be able to take those.
const OTHER_FILES: u64 = 256;

/// Asks the system for as many open files as it allows, and tells how many connections may be open
/// for each of so many workers.
#[must_use]
pub fn connections_by_worker(workers: usize) -> usize {
    let files = match open_files() {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "cannot tell how many files may be open");
            1_024
        }
    };
    share(files, workers)
}

fn open_files() -> nix::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // macOS allows less than it says.
    let wanted = hard.min(MOST_CONNECTIONS as u64 + OTHER_FILES);
    if soft >= wanted || setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).is_err() {
        return Ok(soft);
    }
    Ok(wanted)
}

fn share(files: u64, workers: usize) -> usize {
    let free = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    // With few files at least some.
    let connections = free.max(usize::try_from(files / 2).unwrap_or(1)).min(MOST_CONNECTIONS);
    (connections / workers.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        assert_eq!(share(1_000_000, 4), MOST_CONNECTIONS / 4);
        assert_eq!(share(1_024, 2), 384);
        assert_eq!(share(256, 2), 64);
        assert_eq!(share(0, 0), 1);
    }
}
