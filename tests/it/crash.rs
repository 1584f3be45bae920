//! The real program, killed in the middle of its work.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

const KEY: &str = "the settings' key";
const SECRET: &str = "the webhook's secret";

/// `verbatim serve`, with its private PostgreSQL.
struct Service {
    process: Child,
    address: String,
}

fn verbatim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verbatim"));
    // Whatever this machine is set to must not matter.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("VERBATIM_") || name == "DATABASE_URL" {
            command.env_remove(name.as_ref());
        }
    }
    command.env("VERBATIM_API_KEY", KEY).env("VERBATIM_WEBHOOK_SECRET", SECRET);
    command
}

impl Service {
    fn start(data: &Path, listen: &str) -> Self {
        let mut process = verbatim()
            .args(["serve", "--listen", listen, "--data-dir"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The banner names the address, and says how to try it when everything is there.
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let rest = line.trim().strip_prefix("webhook ")?.trim();
                Some(rest.strip_prefix("http://")?.strip_suffix("/webhook")?.to_owned())
            })
            .expect("the service says where it listens");
        let ready = lines.any(|line| line.starts_with("Send it a message"));
        assert!(ready, "the database comes up");
        Self { process, address }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        // Cleanly, so that its PostgreSQL goes with it.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}

fn verify(ledger: &Path, address: &str) -> Output {
    verbatim()
        .args(["verify", "--url", &format!("http://{address}"), "--key", KEY, "--ledger"])
        .arg(ledger)
        .output()
        .unwrap()
}

fn lines(ledger: &Path) -> usize {
    std::fs::read(ledger).map_or(0, |text| text.split(|byte| *byte == b'\n').count() - 1)
}

/// Waits until `condition` holds, looking every few milliseconds.
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < 60, "{what} did not come about");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn nothing_that_was_answered_is_lost_or_doubled_by_kill_9() {
    let folder = TempDir::new().unwrap();
    let (data, ledger) = (folder.path().join("data"), folder.path().join("ledger.jsonl"));
    let mut service = Service::start(&data, "127.0.0.1:0");
    let address = service.address.clone();
    let mut sender = verbatim()
        .args(["simulate", "--sessions", "60", "--rate", "400", "--seed", "7", "--ledger"])
        .arg(&ledger)
        .args(["--url", &format!("http://{address}/webhook")])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    for answered in [100, 250] {
        until("the sender's progress", || lines(&ledger) >= answered);
        service.kill();
        service = Service::start(&data, &address);
    }
    assert!(sender.wait().unwrap().success(), "every delivery was answered in the end");
    assert!(lines(&ledger) > 400, "there was something to lose: {}", lines(&ledger));
    // What the last start found in the inbox may still be on its way.
    let mut report = verify(&ledger, &address);
    until("an empty inbox", || {
        report = verify(&ledger, &address);
        report.status.success()
    });
    let text = String::from_utf8_lossy(&report.stdout);
    assert!(text.contains("missing"), "the report counts what is missing: {text}");
}

/// The postmaster of the private cluster, and all its processes.
fn postgres_processes(data: &Path) -> Vec<nix::unistd::Pid> {
    let pid_file = data.join("postgres/cluster/postmaster.pid");
    let text = std::fs::read_to_string(pid_file).unwrap();
    let postmaster = text.lines().next().unwrap().trim();
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", postmaster]).output().unwrap();
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .chain([postmaster])
        .map(|pid| nix::unistd::Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

#[test]
fn a_postgres_that_stands_still_holds_up_no_answer() {
    use nix::sys::signal::{Signal, kill};

    let folder = TempDir::new().unwrap();
    let (data, ledger) = (folder.path().join("data"), folder.path().join("ledger.jsonl"));
    let service = Service::start(&data, "127.0.0.1:0");
    let postgres = postgres_processes(&data);
    assert!(postgres.len() > 3, "the postmaster and its processes");
    for pid in &postgres {
        kill(*pid, Signal::SIGSTOP).unwrap();
    }
    let sender = verbatim()
        .args(["simulate", "--sessions", "40", "--ledger"])
        .arg(&ledger)
        .args(["--url", &format!("http://{}/webhook", service.address)])
        .output();
    for pid in &postgres {
        kill(*pid, Signal::SIGCONT).unwrap();
    }
    let sender = sender.unwrap();
    assert!(sender.status.success(), "{}", String::from_utf8_lossy(&sender.stdout));
    assert!(lines(&ledger) > 200, "{} deliveries", lines(&ledger));
    until("all of it in Postgres", || verify(&ledger, &service.address).status.success());
}
