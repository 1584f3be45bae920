//! The private PostgreSQL, whose files are replaced while it runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::load::Load;
use crate::server_files::ServerFiles;
use crate::service::Spec;
use crate::world::{Expect, Setup, Trial, World, skip};

/// Two minor versions of one major version: a package upgrade.
const BEFORE: &str = "15.17";
const AFTER: &str = "15.18";
/// Major version of the second upgrade.
const NEXT_MAJOR: &str = "17";
/// Number of kills during the upgrade to it.
const KILLS: usize = 2;
/// Longest time for that upgrade, kills included.
const MOVE_MAX: Duration = Duration::from_mins(5);
/// Longest time until the service notices, and its server runs again.
const NOTICE_MAX: Duration = Duration::from_mins(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
const RESTART: &str = "private PostgreSQL files changed, restarting the server";

/// The package manager upgrades the server under load, from one minor version to the next. Then one
/// library is replaced; then the server's program by one that cannot run the cluster, and back. No
/// sender notices, and reads continue.
pub(crate) async fn files_replaced(trial: &Trial) -> anyhow::Result<()> {
    let files = ServerFiles::copy(&trial.folder, BEFORE)?;
    let environment = vec![("PATH".to_owned(), files.path())];
    let service = Spec { environment, ..Spec::default() };
    let world = trial.world(Setup { private: true, service, ..Setup::default() }).await?;
    ensure!(version(&world).await? == BEFORE, "the service runs another server");
    let load = world.load(Load::default());
    world.calm().await;

    world.fault(&format!("PostgreSQL {BEFORE} is upgraded to {AFTER}"));
    files.replace_by(AFTER)?;
    logged(&world, RESTART, 1).await?;
    wait_caught_up(&world).await?;
    let now = version(&world).await?;
    ensure!(now == AFTER, "the server is still PostgreSQL {now}");

    world.fault("one library is replaced");
    files.replace_library()?;
    logged(&world, RESTART, 2).await?;
    wait_caught_up(&world).await?;

    world.fault("the server's program is of another major version, until it is put back");
    files.replace_server_by_newer()?;
    tokio::time::sleep(trial.options.hold(5, 20)).await;
    wait_caught_up(&world).await?;
    files.replace_by(AFTER)?;
    world.calm().await;
    wait_caught_up(&world).await?;
    world.finish(load, Expect::AllAnswered).await
}

/// The private database is upgraded to another major version under load. The service is killed
/// twice meanwhile: once some tables are copied, and once all are.
pub(crate) async fn major_version(trial: &Trial) -> anyhow::Result<()> {
    let files = ServerFiles::copy(&trial.folder, AFTER)?;
    let environment = vec![("PATH".to_owned(), files.path())];
    let service = Spec { environment: environment.clone(), ..Spec::default() };
    let world = trial.world(Setup { private: true, service, ..Setup::default() }).await?;
    if version(&world).await? != AFTER {
        return Err(skip("a PostgreSQL newer than 15 is installed here, and made the cluster"));
    }
    files.install_beside(NEXT_MAJOR)?;
    let load = world.load(Load::default());
    world.calm().await;
    world.fault(&format!("PostgreSQL {AFTER} is upgraded to {NEXT_MAJOR}"));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_verbatim"));
    command.args(["upgrade-postgres", "--to", NEXT_MAJOR, "--data-dir"]).arg(&world.service.data);
    command.env_remove("DATABASE_URL").envs(environment).kill_on_drop(true);
    let begin = Instant::now();
    let mut command = command.stdout(Stdio::null()).spawn()?;
    let report = world.service.data.join("postgres/upgrade.log");
    for (kill, after) in ["copied ", "copied and compared"].into_iter().enumerate().take(KILLS) {
        while !std::fs::read_to_string(&report).unwrap_or_default().contains(after) {
            ensure!(begin.elapsed() < MOVE_MAX, "{} does not contain {after:?}", report.display());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.fault(&format!("kill -9 of the service, {} of {KILLS}", kill + 1));
        world.service.kill()?;
        world.service.start().await?;
    }
    let ended = tokio::time::timeout(MOVE_MAX, command.wait()).await??;
    ensure!(ended.success(), "{}", std::fs::read_to_string(&report)?);
    world.add_note(format!("moved after {:.1} s", begin.elapsed().as_secs_f64()));
    wait_caught_up(&world).await?;
    let now = version(&world).await?;
    ensure!(now.starts_with(NEXT_MAJOR), "the server is still PostgreSQL {now}");
    world.calm().await;
    world.finish(load, Expect::Refusals).await
}

/// Waits until the service has logged `what` this often.
async fn logged(world: &World, what: &str, times: usize) -> anyhow::Result<()> {
    let begin = Instant::now();
    while std::fs::read_to_string(&world.service.log)?.matches(what).count() < times {
        ensure!(begin.elapsed() < NOTICE_MAX, "the log does not contain {what:?} {times} times");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    world.log(&format!("noticed after {:.1} s", begin.elapsed().as_secs_f64()));
    Ok(())
}

/// Waits until Postgres has stored everything that was sent so far, and reads a page.
async fn wait_caught_up(world: &World) -> anyhow::Result<()> {
    let caught_up = world.caught_up().await?;
    let page = world.service.json("/v1/sessions?limit=1").await?;
    ensure!(
        page["data"].as_array().is_some_and(|data| !data.is_empty()),
        "the page is empty: {page}"
    );
    world.log(&format!("caught up, and read, after {:.1} s", caught_up.as_secs_f64()));
    Ok(())
}

async fn version(world: &World) -> anyhow::Result<String> {
    let version = sqlx::query_scalar("SHOW server_version");
    Ok(version.fetch_one(&mut world.database().await?).await?)
}
