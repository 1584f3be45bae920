//! `verbatim upgrade-postgres` from one real server to another.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::support::private_service::PrivateService;
use crate::support::process::{lines, until, verbatim};
use crate::support::programs::skip;
use crate::support::server_tree::programs_of;

/// Folders of the installed servers.
struct Servers {
    bins: Vec<PathBuf>,
}

impl Servers {
    /// Returns the servers of versions 15, 17 and 18 if all are installed.
    fn find() -> Option<Self> {
        let bins = ["15", "17", "18"].map(programs_of);
        Some(Self { bins: bins.into_iter().collect::<Option<_>>()? })
    }

    /// Returns a `PATH` with the first `count` servers.
    fn path(&self, count: usize) -> String {
        let bins = self.bins[..count].iter().map(|bin| bin.display().to_string());
        bins.chain(["/usr/bin:/bin".to_owned()]).collect::<Vec<_>>().join(":")
    }

    /// Starts a service with a cluster of version 15.
    fn service_of_15(&self) -> Option<PrivateService> {
        let service = PrivateService::start(TempDir::new().unwrap(), &self.path(1));
        if service.text("data/postgres/cluster/PG_VERSION").trim() != "15" {
            skip("a PostgreSQL newer than 15 is installed here, and would make the cluster");
            return None;
        }
        Some(service)
    }
}

fn text(output: &Output) -> String {
    let text = [&*output.stdout, &*output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

const VERSION: &str = "SELECT (current_setting('server_version_num')::int / 10000)::text";
/// Query of a role's password, settings, rights, and the comment that marks it.
const READER: &str = "SELECT concat_ws(' ', rolpassword, rolconnlimit,
        shobj_description(r.oid, 'pg_authid'), s.setconfig,
        has_table_privilege('bi', 'analytics_v1.message_texts', 'SELECT'),
        has_database_privilege('bi', 'verbatim', 'TEMPORARY'),
        pg_has_role('bi', 'verbatim_readers', 'MEMBER'))
   FROM pg_authid r LEFT JOIN pg_db_role_setting s ON s.setrole = r.oid
  WHERE rolname = 'bi'";

#[test]
fn service_is_upgraded_to_17_and_18_under_load_and_after_a_kill() {
    let Some(servers) = Servers::find() else { return };
    let Some(mut world) = servers.service_of_15() else { return };
    let first = world.send("1");
    let created = ["readers", "create", "--name", "bi", "--with-text"];
    let created = world.command(&created, &servers.path(1)).output().unwrap();
    assert!(created.status.success(), "{}", text(&created));
    let reader = world.query(READER);
    assert!(reader.contains("SCRAM-SHA-256") && reader.ends_with(" t f t"), "{reader}");
    let configuration = world.file("data/postgres/cluster/postgresql.conf");
    let settings = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&configuration, settings + "log_line_prefix = 'it''s '\n").unwrap();
    world.has_all(&first);
    world.service.stop();

    // Newer servers are installed now. The cluster does not change.
    world.start_again(&servers.path(3));
    assert_eq!(world.query(VERSION), "15");
    let (second, url) = (world.file("second"), format!("http://{}/webhook", world.service.address));
    let mut sender = verbatim();
    sender.args(["simulate", "--sessions", "60", "--rate", "100", "--seed", "9", "--url", &url]);
    let mut sender = sender.arg("--ledger").arg(&second).stdout(Stdio::null()).spawn().unwrap();
    until("the sender's progress", || lines(&second) > 50);
    let upgrade = ["upgrade-postgres", "--to", "17"];
    let upgraded = world.command(&upgrade, &servers.path(3)).output().unwrap();
    assert!(upgraded.status.success(), "{}", text(&upgraded));
    let output = text(&upgraded);
    assert!(output.contains("was asked to upgrade it") && output.contains("done: "), "{output}");
    assert!(sender.wait().unwrap().success(), "every delivery was answered");
    world.has_all(&first);
    world.has_all(&second);
    assert_eq!(world.query(VERSION), "17");
    assert_eq!(world.query(READER), reader);
    assert_eq!(world.query("SHOW log_line_prefix"), "it's ");
    assert_eq!(world.query("SHOW data_checksums"), "on");
    assert_eq!(world.text("data/postgres/cluster.old-15/PG_VERSION").trim(), "15");

    // The service is killed during the upgrade to 18.
    let mut command = world.command(&["upgrade-postgres"], &servers.path(3));
    let mut command = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("some tables are copied", || {
        world.text("data/postgres/upgrade.log").contains("to 18")
            && world.text("data/postgres/upgrade.log").contains("copied ")
    });
    world.service.kill();
    world.start_again(&servers.path(3));
    assert!(command.wait().unwrap().success());
    let report = world.text("data/postgres/upgrade.log");
    assert!(report.trim_end().lines().last().unwrap().starts_with("done: "), "{report}");
    world.has_all(&first);
    world.has_all(&second);
    let third = world.send("3");
    world.has_all(&third);
    assert_eq!(world.query(VERSION), "18");
    assert_eq!(world.query(READER), reader);

    let mut remove = world.command(&["upgrade-postgres", "--remove-old"], &servers.path(3));
    let removed = text(&remove.output().unwrap());
    assert!(removed.contains("cluster.old-15") && removed.contains("cluster.old-17"), "{removed}");
    assert!(!world.file("data/postgres/cluster.old-15").exists());
    let again = world.command(&["upgrade-postgres"], &servers.path(3)).output().unwrap();
    assert!(text(&again).contains("of that version already"), "{}", text(&again));
}

#[test]
fn missing_or_older_version_is_rejected_and_the_service_continues() {
    let Some(servers) = Servers::find() else { return };
    let Some(world) = servers.service_of_15() else { return };
    let path = servers.path(3);
    let upgrade = |arguments: &[&str]| {
        let arguments = [&["upgrade-postgres"], arguments].concat();
        let output = world.command(&arguments, &path).output().unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        text(&output)
    };
    let output = upgrade(&["--to", "16"]);
    assert!(output.contains("no PostgreSQL 16") && output.contains("postgresql-16"), "{output}");
    let output = upgrade(&["--to", "9"]);
    assert!(output.contains("9 is older"), "{output}");
    // The command finds 17 and the service does not.
    let output = upgrade(&["--to", "17"]);
    assert!(output.contains("no PostgreSQL 17"), "{output}");
    let sent = world.send("1");
    world.has_all(&sent);
}

#[test]
fn command_without_a_service_upgrades_and_rejects_data_loss() {
    let Some(servers) = Servers::find() else { return };
    let Some(mut world) = servers.service_of_15() else { return };
    let sent = world.send("1");
    world.has_all(&sent);
    world.execute("CREATE TABLE public.somebody_elses (word text)");
    world.service.stop();
    let path = servers.path(2);
    let refused = world.command(&["upgrade-postgres"], &path).output().unwrap();
    assert!(!refused.status.success());
    assert!(text(&refused).contains("table public.somebody_elses"), "{}", text(&refused));
    assert!(!world.file("data/postgres/cluster.next").exists());
    assert!(!world.file("data/postgres/upgrade.json").exists());

    world.start_again(&path);
    world.has_all(&sent);
    world.execute("DROP TABLE public.somebody_elses");
    world.service.stop();
    let upgraded = world.command(&["upgrade-postgres"], &path).output().unwrap();
    assert!(upgraded.status.success(), "{}", text(&upgraded));
    world.start_again(&path);
    assert_eq!(world.query(VERSION), "17");
    world.has_all(&sent);
}
