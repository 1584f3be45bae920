//! Priority of the private server's processes. The service has a higher one: the avatar waits for
//! its answer, while PostgreSQL stores the contents of the inbox.

use std::path::Path;

use rustix::process::{Pid, getpriority_process, setpriority_process};

/// Nice value of the server, above that of the service.
pub(super) const SERVER: i32 = 5;
/// Nice value of connections that work in the background.
pub(super) const BACKGROUND: i32 = 10;

/// Lowers the priority of a server process by raising its nice value, which child processes
/// inherit. A higher value stays; a refusal of the system is ignored.
pub(super) fn lower(process: i32, nice: i32) {
    // In another container the process has another id.
    let name = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("comm"));
    if !name.is_ok_and(|name| name.trim_end() == "postgres") {
        return;
    }
    let process = Pid::from_raw(process);
    let is_lower = getpriority_process(process).is_ok_and(|current| current >= nice);
    if process.is_some() && !is_lower {
        let _ = setpriority_process(process, nice);
    }
}
