//! `verbatim serve` as a process of its own, for what is one to a process: its log and its traces.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::app::{KEY, SECRET};

/// A service that runs; it is stopped with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    /// Reads while the service writes: a pipe that is full would hold it up.
    log: Option<JoinHandle<String>>,
    _data: TempDir,
}

impl Process {
    /// Starts it with these variables of the environment and no others of ours. It takes
    /// deliveries when this returns; its database may not be there yet.
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
            .expect("the service says where it listens");
        let address = address.strip_suffix("/webhook").unwrap().to_owned();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        Self { child, address, log: Some(log), _data: data }
    }

    /// Stops it as a service manager would, and gives its log.
    pub(crate) fn stop(mut self) -> Vec<serde_json::Value> {
        self.terminate();
        assert!(self.child.wait().unwrap().success(), "it ends well");
        let log = self.log.take().unwrap().join().unwrap();
        log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// What it has in memory, in bytes.
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
