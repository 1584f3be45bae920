//! Replaced program files of the running private server, as by an upgrade of its package.

use std::process::Command;

use tempfile::TempDir;

use crate::support::private_service::PrivateService;
use crate::support::process::until;
use crate::support::server_tree::ServerTree;

#[test]
fn replaced_library_restarts_the_server_cleanly() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_tests(folder.path()) else { return };
    let world = PrivateService::start(folder, &tree.path());
    let before = world.postmaster();
    let sent = world.send("1");
    world.has_all(&sent);
    tree.replace_library();
    until("another server", || world.postmaster().is_some_and(|now| Some(now) != before));
    assert!(world.says("private PostgreSQL files changed, restarting the server"));
    assert!(!world.says("private PostgreSQL is down"), "{}", world.text("log"));
    let log = world.text("data/postgres/postgres.log");
    assert!(log.contains("received fast shutdown request"), "{log}");
    assert!(!log.contains("database system was not properly shut down"), "{log}");
    world.has_all(&sent);
    let sent = world.send("2");
    world.has_all(&sent);
}

#[test]
fn failed_restart_after_changed_files_keeps_deliveries_in_the_inbox() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_tests(folder.path()) else { return };
    let version = Command::new(tree.postgres()).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let world = PrivateService::start(folder, &tree.path());
    let put_back = tree.replace_server(&format!(
        "#!/bin/sh\n[ \"$1\" != --version ] || exec echo '{}'\necho 'FATAL: cannot start' >&2\nexit 1\n",
        version.trim()
    ));
    until("the server is down", || world.says("private PostgreSQL is down"));
    assert!(world.says("FATAL: cannot start"), "{}", world.text("log"));
    assert!(world.says("install the cluster's major version again"), "{}", world.text("log"));
    let sent = world.send("1");
    let kept = "Postgres does not store deliveries; they are kept in the inbox";
    until("a log line on the inbox", || world.says(kept));
    put_back();
    world.has_all(&sent);
}

#[test]
fn files_of_another_major_version_do_not_stop_the_server() {
    let folder = TempDir::new().unwrap();
    let Some(tree) = ServerTree::of_major_that_is_nowhere_else("18", folder.path()) else { return };
    let world = PrivateService::start(folder, &tree.path_alone());
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
