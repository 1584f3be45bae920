//! The command: requests the upgrade from a running service, or does it in this process.

use std::sync::atomic::AtomicI32;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::account::Account;
use super::super::binaries::Binaries;
use super::super::cluster::{self, Cluster};
use super::super::home::Home;
use super::super::lock::{self, Lock, Purpose};
use super::report::{DONE, FAILED, lines_of};
use super::request::{Request, finish_switch};
use crate::config::DatabaseSettings;

/// Longest wait until a service begins. It checks every few seconds, or is starting.
const BEGIN_LIMIT: Duration = Duration::from_secs(30);

/// Upgrades the private cluster to the major version `to`, or to the newest installed one. `print`
/// receives the progress line by line. Cancelling `stop` ends work in this process; a service
/// continues its work.
pub async fn upgrade_cluster(
    settings: &DatabaseSettings,
    to: Option<u32>,
    stop: CancellationToken,
    mut print: impl FnMut(&str),
) -> anyhow::Result<()> {
    let home = home_of(settings)?;
    let deadline = Instant::now() + lock::COMMAND_LIMIT;
    loop {
        match Lock::try_take(&home.lock(), Purpose::Upgrade)? {
            Ok(lock) => return upgrade_here(home, to, stop, lock, print).await,
            Err(holder) if holder.is_command() => {
                ensure!(Instant::now() < deadline, "{holder} uses the private PostgreSQL");
                sleep(lock::POLL_INTERVAL).await;
            }
            Err(holder) => {
                let Some(request) = request_for(&home, to)? else {
                    print("the private cluster is of that version already");
                    return Ok(());
                };
                request.write(&home)?;
                print(&format!(
                    "{holder} runs the private PostgreSQL, and was asked to upgrade it"
                ));
                return follow(&home, &request.id, &stop, print).await;
            }
        }
    }
}

/// Removes the clusters that upgrades have left, and returns their folders.
pub fn remove_old_clusters(settings: &DatabaseSettings) -> anyhow::Result<Vec<String>> {
    let home = home_of(settings)?;
    ensure!(Request::read(&home)?.is_none(), "an upgrade is in progress: wait until it is done");
    let mut removed = Vec::new();
    for folder in home.old_clusters()? {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot remove {}", folder.display()))?;
        removed.push(folder.display().to_string());
    }
    Ok(removed)
}

fn home_of(settings: &DatabaseSettings) -> anyhow::Result<Home> {
    ensure!(
        settings.url.is_none(),
        "DATABASE_URL names a database of your own: its administrator upgrades it"
    );
    let home = Home::existing(&settings.data_dir).context("there is no private database yet")?;
    ensure!(
        home.cluster().exists() || Request::read(&home)?.is_some(),
        "there is no private database in {} yet; the first start makes one with the newest PostgreSQL",
        home.path().display()
    );
    Ok(home)
}

/// Returns the pending request or a new one; `None` if there is nothing to do.
fn request_for(home: &Home, to: Option<u32>) -> anyhow::Result<Option<Request>> {
    if let Some(request) = Request::read(home)? {
        ensure!(
            to.is_none_or(|to| to == request.to),
            "an upgrade to PostgreSQL {} is in progress",
            request.to
        );
        return Ok(Some(request));
    }
    let place = home.cluster();
    let account = Account::of_cluster(&place)?;
    let has = cluster::major_of(&place)?;
    let to = match to {
        Some(to) => to,
        None => Binaries::find(&account, None)?.major,
    };
    if to == has {
        return Ok(None);
    }
    ensure!(to > has, "the private cluster is of PostgreSQL {has}, and {to} is older");
    Binaries::find_major(&account, to)?;
    Ok(Some(Request::new(to)))
}

/// Waits for a service, and prints its lines.
async fn follow(
    home: &Home,
    id: &str,
    stop: &CancellationToken,
    mut print: impl FnMut(&str),
) -> anyhow::Result<()> {
    let deadline = Instant::now() + BEGIN_LIMIT;
    let mut printed = 0;
    loop {
        let lines = lines_of(home, id);
        ensure!(
            lines.is_some() || Instant::now() < deadline,
            "the service does not start the upgrade: if it has an older version, restart it with \
             this one; it upgrades when it starts"
        );
        let lines = lines.unwrap_or_default();
        for line in lines.iter().skip(printed) {
            if let Some(reason) = line.strip_prefix(FAILED) {
                bail!("{reason}");
            }
            print(line);
        }
        printed = lines.len();
        if lines.last().is_some_and(|last| last.starts_with(DONE)) {
            return Ok(());
        }
        tokio::select! {
            () = sleep(lock::POLL_INTERVAL) => {}
            () = stop.cancelled() => {
                print("the service continues the upgrade; run this command again to follow it");
                return Ok(());
            }
        }
    }
}

/// Upgrades in this process, which has the lock.
async fn upgrade_here(
    home: Home,
    to: Option<u32>,
    stop: CancellationToken,
    lock: Lock,
    mut print: impl FnMut(&str),
) -> anyhow::Result<()> {
    finish_switch(&home)?;
    let Some(request) = request_for(&home, to)? else {
        print("the private cluster is of that version already");
        return Ok(());
    };
    let (cluster, _) = Cluster::prepare(home.clone(), None).await?;
    request.write(&home)?;
    let running = AtomicI32::new(0);
    let finished = CancellationToken::new();
    let id = request.id.clone();
    let work = async {
        let outcome = super::run(&cluster, request, &stop, &running).await;
        finished.cancel();
        outcome
    };
    let before = lines_of(&home, &id).map_or(0, |lines| lines.len());
    let mut printed = before;
    let lines = async {
        loop {
            let lines = lines_of(&home, &id).unwrap_or_default();
            for line in lines.iter().skip(printed).filter(|line| !line.starts_with(FAILED)) {
                print(line);
            }
            printed = printed.max(lines.len());
            if finished.is_cancelled() {
                return;
            }
            tokio::select! {
                () = sleep(lock::POLL_INTERVAL) => {}
                () = finished.cancelled() => {}
            }
        }
    };
    let (outcome, ()) = tokio::join!(work, lines);
    drop(lock);
    outcome.map(drop)
}
