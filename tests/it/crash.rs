//! The real program, killed or without Postgres during its work.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::process::{KEY, Service, lines, until, verbatim};

fn verify(ledger: &Path, address: &str) -> Output {
    verbatim()
        .args(["verify", "--url", &format!("http://{address}"), "--key", KEY, "--ledger"])
        .arg(ledger)
        .output()
        .unwrap()
}

#[test]
fn kill_9_neither_loses_nor_doubles_an_answered_delivery() {
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
    assert!(lines(&ledger) > 400, "too few deliveries to lose: {}", lines(&ledger));
    // The drain may still be writing the deliveries that the last start found in the inbox.
    let mut report = verify(&ledger, &address);
    until("an empty inbox", || {
        report = verify(&ledger, &address);
        report.status.success()
    });
    let text = String::from_utf8_lossy(&report.stdout);
    assert!(text.contains("missing"), "the report counts what is missing: {text}");
}

/// Process IDs of the private cluster: the postmaster and its children.
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
fn stopped_postgres_does_not_delay_answers() {
    use nix::sys::signal::{Signal, kill};

    let folder = TempDir::new().unwrap();
    let (data, ledger) = (folder.path().join("data"), folder.path().join("ledger.jsonl"));
    let service = Service::start(&data, "127.0.0.1:0");
    let postgres = postgres_processes(&data);
    assert!(postgres.len() > 3, "the postmaster and its processes");
    for pid in &postgres {
        match kill(*pid, Signal::SIGSTOP) {
            // A process that has ended meanwhile, such as an autovacuum worker.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let began = Instant::now();
    let sender = verbatim()
        .args(["simulate", "--sessions", "40", "--ledger"])
        .arg(&ledger)
        .args(["--url", &format!("http://{}/webhook", service.address)])
        .output();
    let took = began.elapsed();
    for pid in &postgres {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    let sender = sender.unwrap();
    assert!(sender.status.success(), "{}", String::from_utf8_lossy(&sender.stdout));
    // Each session waits for one answer after the other. With a delay of a second each, the run
    // would exceed this limit.
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(lines(&ledger) > 200, "{} deliveries", lines(&ledger));
    until("every delivery in Postgres", || verify(&ledger, &service.address).status.success());
}
