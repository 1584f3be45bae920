//! `verbatim serve` in a separate process, for its log and its traces, of which a process has one
//! each.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::app::{KEY, SECRET};

/// A running service. It is stopped when this is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    /// Reads while the service writes, since a full pipe would block it.
    log: Option<JoinHandle<String>>,
    _data: TempDir,
}

impl Process {
    /// Starts it with only these environment variables of ours. On return it accepts deliveries,
    /// but its database may not be ready.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let data = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["VERBATIM_", "OTEL_", "RUST_LOG", "DATABASE_URL"]
                .iter()
                .any(|ours| name.starts_with(ours))
            {
                command.env_remove(name.as_ref());
            }
        }
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data-dir"])
            .arg(data.path())
            .envs([("VERBATIM_API_KEY", KEY), ("VERBATIM_WEBHOOK_SECRET", SECRET)])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let banner = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = banner
            .map(|line| line.trim().to_owned())
            .find_map(|line| Some(line.strip_prefix("webhook ")?.trim().to_owned()))
            .expect("the service prints its address");
        let address = address.strip_suffix("/webhook").unwrap().to_owned();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self { child, address, log: Some(log), _data: data }
    }

    /// Stops it as a service manager does, and returns its log.
    pub(crate) fn stop(mut self) -> Vec<serde_json::Value> {
        self.terminate();
        assert!(self.child.wait().unwrap().success(), "it stops cleanly");
        let log = self.log.take().unwrap().join().unwrap();
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// Returns its resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}
