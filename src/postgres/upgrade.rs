//! Upgrades the private cluster to another major version. A new cluster is created beside it,
//! filled table by table, compared, and moved to its place. Neither `pg_upgrade` nor `pg_dump` is
//! needed.
//!
//! The holder of the cluster's lock does the work: a running service, or the command itself. The
//! old server still answers reads but accepts no writes, so the drain waits and the inbox fills.
//! The parts: `request` (the request and its phase), `report` (progress lines), `servers`, `roles`,
//! `inventory` and `configuration` (everything except rows), `tables` (rows), and `command`.

mod command;
mod configuration;
mod inventory;
mod report;
mod request;
mod roles;
mod servers;
mod tables;

use std::path::Path;
use std::sync::atomic::AtomicI32;

use anyhow::{Context as _, bail, ensure};
use bytesize::ByteSize;
use nix::sys::statvfs::statvfs;
use tokio_util::sync::CancellationToken;

pub use command::{remove_old_clusters, upgrade_cluster};
pub(super) use request::{Request, finish_switch};

use super::binaries::Binaries;
use super::cluster::{self, Cluster};
use super::home::Home;
use super::{Connector, schema};
use configuration::Configuration;
use report::{DONE, Report};
use request::Phase;
use servers::Side;

/// Disk space needed beyond the copy, for the transaction log and for sorting of indexes.
const SPARE_BYTES: u64 = 512 << 20;
/// Limit of copies. The copy restarts if the old database changed meanwhile, or the machine was
/// restarted.
const MAX_ATTEMPTS: u32 = 3;

/// Outcome of an upgrade without an error.
pub(super) enum Upgraded {
    /// The upgrade is complete; this is the new cluster.
    Done(Cluster),
    /// A stop was requested; the next start continues.
    Stopped,
}

/// Checks the conditions of an upgrade while the old server runs normally. Returns the new
/// cluster's programs.
pub(super) fn check(cluster: &Cluster, request: &Request) -> anyhow::Result<Binaries> {
    let (from, to) = (cluster.binaries.major, request.to);
    ensure!(to > from, "the private cluster is of PostgreSQL {from}; {to} is not newer");
    let binaries = Binaries::find_major(&cluster.account, to)?;
    let old = cluster.home.old_cluster(from);
    ensure!(
        !old.exists(),
        "{} is there from an earlier upgrade: remove it with `verbatim upgrade-postgres --remove-old`",
        old.display()
    );
    if request.phase == Phase::Asked {
        check_room(&cluster.home)?;
    }
    Ok(binaries)
}

/// Fails if the disk has no space for a second cluster.
fn check_room(home: &Home) -> anyhow::Result<()> {
    let needed = size_of(&home.cluster().join("base"))? + SPARE_BYTES;
    let room = statvfs(home.path()).context("cannot read the free space of the disk")?;
    #[expect(clippy::useless_conversion, reason = "narrower on some systems")]
    let blocks = u64::from(room.blocks_available());
    compare_room(home.path(), blocks.saturating_mul(room.fragment_size()), needed)
}

fn compare_room(folder: &Path, free: u64, needed: u64) -> anyhow::Result<()> {
    ensure!(
        free >= needed,
        "the disk of {} has {} free, and a second cluster beside the first needs {}: make room, or move \
         the data folder to a larger disk",
        folder.display(),
        ByteSize(free).display().iec(),
        ByteSize(needed).display().iec()
    );
    Ok(())
}

/// Returns the bytes of all files below a folder.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut folders = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in
            folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?
        {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                // A file that the server has just removed takes no space.
                bytes += entry.metadata().map_or(0, |found| found.len());
            }
        }
    }
    Ok(bytes)
}

/// Rejects a request before anything is stopped for it: the error is reported and the request
/// removed.
pub(super) fn refuse(home: &Home, request: &Request, error: &anyhow::Error) -> anyhow::Result<()> {
    Report::of(home, &request.id).failed(error);
    Request::remove(home)
}

/// Carries out a request, or continues it. No server runs at the cluster's place before or after.
/// After an error the cluster is unchanged, and the request is removed.
pub(super) async fn run(
    cluster: &Cluster,
    request: Request,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<Upgraded> {
    let report = Report::of(&cluster.home, &request.id);
    let outcome = attempt(cluster, request, &report, stop, running).await;
    if let Err(error) = &outcome {
        let now = Request::read(&cluster.home)?;
        if now.is_some_and(|now| matches!(now.phase, Phase::Switching { .. })) {
            // The new cluster is complete, and the next start moves it to its place.
            return outcome;
        }
        report.failed(error);
        servers::remove_next(&cluster.home).await?;
        Request::remove(&cluster.home)?;
    }
    outcome
}

async fn attempt(
    cluster: &Cluster,
    mut request: Request,
    report: &Report,
    stop: &CancellationToken,
    running: &AtomicI32,
) -> anyhow::Result<Upgraded> {
    let (from, to) = (cluster.binaries.major, request.to);
    let binaries = check(cluster, &request)?;
    let new = Cluster { binaries, ..cluster.clone() };
    report.line(&format!(
        "from PostgreSQL {} to {}; deliveries wait in the inbox, reads continue",
        cluster.binaries.version(),
        new.binaries.version()
    ));
    let mut old_side = Side::old(cluster, running).await?;
    let old = old_side.connector();
    let filled = tokio::select! {
        filled = fill(&new, &mut request, &old, report) => filled.map(Some),
        error = old_side.ended() => Err(error.context("the old server ended")),
        () = stop.cancelled() => Ok(None),
    };
    let stopped = old_side.stop().await;
    running.store(0, std::sync::atomic::Ordering::Relaxed);
    let Some(configuration) = filled? else {
        report.line("stopped; the next start continues");
        return Ok(Upgraded::Stopped);
    };
    stopped?;
    configuration.write(&new, from)?;
    let trial = Side::trial(&new).await.context("the new cluster does not start")?;
    trial.stop().await?;
    servers::sync(&new, &new.home.next_cluster()).await?;
    request.phase = Phase::Switching { from };
    request.write(&new.home)?;
    finish_switch(&new.home)?;
    let _ = std::fs::remove_file(new.home.path().join("postgres-next.log"));
    report.line(&format!(
        "{DONE}the private database is of PostgreSQL {to}; the cluster of {from} is kept in {}",
        new.home.old_cluster(from).display()
    ));
    Ok(Upgraded::Done(new))
}

/// Fills the new cluster, from the beginning if the present copy cannot be used.
async fn fill(
    new: &Cluster,
    request: &mut Request,
    old: &Connector,
    report: &Report,
) -> anyhow::Result<Configuration> {
    let boot = request::boot_id();
    let mut is_usable = request.phase == Phase::Copying { boot: boot.clone() }
        && cluster::major_of(&new.home.next_cluster()).ok() == Some(request.to);
    for _ in 0..MAX_ATTEMPTS {
        if !is_usable {
            servers::make_next(new).await?;
            request.phase = Phase::Copying { boot: boot.clone() };
            request.write(&new.home)?;
        }
        let mut new_side = Side::new(new).await?;
        let connector = new_side.connector();
        let filled = tokio::select! {
            filled = fill_running(old, &connector, report) => filled,
            error = new_side.ended() => Err(error.context("the new server ended")),
        };
        new_side.stop().await?;
        if let Some(configuration) = filled? {
            return Ok(configuration);
        }
        report.line("the database has changed since it was copied; copying again");
        is_usable = false;
    }
    bail!("the database changed during every copy: check whether another program writes to it")
}

/// Copies everything from one server to the other. Returns `None` if the old database has changed
/// since it was copied.
async fn fill_running(
    old: &Connector,
    new: &Connector,
    report: &Report,
) -> anyhow::Result<Option<Configuration>> {
    schema::check(old).await?;
    schema::migrate(new).await?;
    let mut old = servers::connect(old).await.context("cannot connect to the old server")?;
    let mut new = servers::connect(new).await.context("cannot connect to the new server")?;
    let state = tables::state(&mut old).await?;
    if !tables::record_state(&mut new, &state).await? {
        return Ok(None);
    }
    tables::make_partitions(&mut old, &mut new).await?;
    roles::copy_roles(&mut old, &mut new).await.context("cannot copy the roles")?;
    roles::copy_grants(&mut old, &mut new).await.context("cannot copy the privileges")?;
    inventory::compare(&inventory::of(&mut old).await?, &inventory::of(&mut new).await?)?;
    let configuration = Configuration::read(&mut old, &mut new, report).await?;
    tables::copy(&mut old, &mut new, report).await?;
    if tables::state(&mut old).await? != state {
        return Ok(None);
    }
    report.line("every table is copied and compared; switching");
    tables::finish(&mut new).await?;
    Ok(Some(configuration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_disk_is_rejected_with_figures() {
        let folder = Path::new("/data/postgres");
        compare_room(folder, SPARE_BYTES, SPARE_BYTES).unwrap();
        let error = compare_room(folder, SPARE_BYTES, 3 * SPARE_BYTES).unwrap_err().to_string();
        assert!(error.contains("/data/postgres has 512.0 MiB free"), "{error}");
        assert!(error.contains("needs 1.5 GiB"), "{error}");
    }

    #[test]
    fn folder_size_is_the_sum_of_all_files() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/c"), [0; 700]).unwrap();
        std::fs::write(folder.path().join("d"), [0; 50]).unwrap();
        assert_eq!(size_of(folder.path()).unwrap(), 750);
    }
}
