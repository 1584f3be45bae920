//! Files of the private server's program, replaced while it runs: as an upgrade of its package does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::process::{KEY, Service, lines, until, verbatim};
use crate::support::server_tree::ServerTree;

/// A service on a copy of a server.
struct World {
    service: Service,
    folder: TempDir,
}

impl World {
    fn start(folder: TempDir, path: &str) -> Self {
        let mut command = verbatim();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(folder.path().join("data")).env("PATH", path);
        command.stderr(File::create(folder.path().join("log")).unwrap());
        Self { service: Service::run(command), folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    fn says(&self, what: &str) -> bool {
        self.text("log").contains(what)
    }

    /// Number of the postmaster's process, as a line.
    fn postmaster(&self) -> Option<String> {
        let text = self.text("data/postgres/cluster/postmaster.pid");
        text.lines().next().filter(|line| !line.is_empty()).map(str::to_owned)
    }

    /// Sends a few conversations; every delivery is answered 200.
    fn send(&self, seed: &str) -> PathBuf {
        let ledger = self.file(&format!("ledger-{seed}"));
        let sent = verbatim()
            .args(["simulate", "--sessions", "5", "--seed", seed, "--ledger"])
            .arg(&ledger)
            .args(["--url", &format!("http://{}/webhook", self.service.address)])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stdout));
        assert!(lines(&ledger) > 10);
        ledger
    }

    /// Waits until the API shows every delivery once.
    fn has_all(&self, ledger: &Path) {
        let url = format!("http://{}", self.service.address);
        until("all of it in the API", || {
            let mut verify = verbatim();
            verify.args(["verify", "--url", &url, "--key", KEY, "--ledger"]).arg(ledger);
            verify.output().unwrap().status.success()
        });
    }
}

#[test]
fn a_replaced_library_restarts_the_server_in_good_order() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_tests(folder.path()) else { return };
    let world = World::start(folder, &tree.path());
    let before = world.postmaster();
    let sent = world.send("1");
    world.has_all(&sent);
    tree.replace_library();
    until("another server", || world.postmaster().is_some_and(|now| Some(now) != before));
    assert!(world.says("private PostgreSQL files changed, restarting the server"));
    assert!(!world.says("the private PostgreSQL is down"), "{}", world.text("log"));
    let said = world.text("data/postgres/postgres.log");
    assert!(said.contains("received fast shutdown request"), "{said}");
    assert!(!said.contains("database system was not properly shut down"), "{said}");
    world.has_all(&sent);
    let sent = world.send("2");
    world.has_all(&sent);
}

#[test]
fn a_server_that_does_not_start_after_its_files_changed_keeps_deliveries_in_the_inbox() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_tests(folder.path()) else { return };
    let version = Command::new(tree.postgres()).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let world = World::start(folder, &tree.path());
    let put_back = tree.replace_server(&format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || exec echo '{}'\necho 'FATAL: cannot start' >&2\nexit 1\n",
        version.trim()
    ));
    until("the server is down", || world.says("the private PostgreSQL is down"));
    assert!(world.says("FATAL: cannot start"), "{}", world.text("log"));
    assert!(world.says("install the cluster's major version again"), "{}", world.text("log"));
    let sent = world.send("1");
    let kept = "Postgres takes nothing; the inbox keeps what arrives";
    until("the inbox keeps them", || world.says(kept));
    put_back();
    world.has_all(&sent);
}

#[test]
fn files_of_another_major_version_leave_the_server_running() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_major_that_is_nowhere_else("18", folder.path()) else { return };
    let world = World::start(folder, &tree.path_alone());
    let before = world.postmaster();
    let put_back = tree.replace_server("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n");
    until("an error", || world.says("the new ones cannot run the cluster"));
    assert!(world.says("the private database was made by PostgreSQL 18"), "{}", world.text("log"));
    let sent = world.send("1");
    world.has_all(&sent);
    assert_eq!(world.postmaster(), before);
    put_back();
    until("another server", || world.postmaster().is_some_and(|now| Some(now) != before));
    world.has_all(&sent);
}
