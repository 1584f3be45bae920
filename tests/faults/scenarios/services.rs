//! Three services on one database behind a balancer: any of them killed or restarted, one cut off
//! from Postgres, one gone for good.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::RngExt as _;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use crate::faults::STOPPED_AGE;
use crate::load::{Load, SENDERS};
use crate::postgres::Postgres;
use crate::proxy::Mode;
use crate::service::{Service, drain};
use crate::world::{DRAIN_MAX, Expect, Setup, Trial, World};

/// Time from a start to the next kill, in milliseconds. Some kills meet a service that does not
/// listen yet.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..900;
/// Probability of a restart in order instead of a kill.
const RESTARTED: f64 = 0.25;
/// Time from the start of the first `verbatim drain` to its kill, in milliseconds.
const DRAIN_KILLED_AFTER_MS: std::ops::Range<u64> = 20..300;

fn three_services() -> Setup {
    Setup { further_services: 2, ..Setup::default() }
}

/// `kill -9` and restarts of any service. At any time one of them runs, so only attempts fail that
/// a service was processing when it was killed.
pub(crate) async fn kill(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(three_services()).await?;
    let kills = trial.options.kills.unwrap_or(trial.options.choose(10, 60));
    let mut rng = trial.rng(30);
    let load = world.load(Load::default());
    world.calm().await;
    let services: Vec<&Service> = world.services().collect();
    for kill in 1..=kills {
        let index = rng.random_range(0..services.len());
        let service = services[index];
        services[(index + 1) % services.len()].answering().await?;
        let number = index + 1;
        if rng.random_bool(RESTARTED) {
            service.answering().await?;
            world.fault(&format!("restart of service {number}, {kill} of {kills}"));
            let status = service.stop().await?;
            ensure!(status.success(), "the service ended with {status}");
        } else {
            world.fault(&format!("kill -9 of service {number}, {kill} of {kills}"));
            service.kill()?;
        }
        service.spawn()?;
        let after = Instant::now() + Duration::from_millis(rng.random_range(KILL_AFTER_MS));
        if let Ok(answering) = timeout_at(after.into(), service.answering()).await {
            answering?;
            sleep_until(after.into()).await;
        }
    }
    for service in services {
        service.answering().await?;
    }
    world.calm().await;
    world.finish(load, Expect::Refusals).await?;
    check_balance(&world, kills)
}

/// One service is cut off from Postgres: its inbox fills, and the others store what they receive. It
/// is killed meanwhile, and starts without Postgres.
pub(crate) async fn partition(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup { proxy: true, ..three_services() }).await?;
    let cuts = [(Mode::Cut, "is refused"), (Mode::HalfOpen, "is lost on the way")];
    let cuts = &cuts[..trial.options.choose(1, 2)];
    let hold = trial.options.hold(4, 15);
    let load = world.load(Load::default());
    for (mode, what) in cuts {
        world.calm().await;
        world.fault(&format!("everything from service 1 to Postgres {what}"));
        world.proxy()?.set(*mode);
        sleep(hold).await;
        let before = waiting(&world).await?;
        world.fault("kill -9 of service 1, which starts without Postgres");
        world.service.kill()?;
        world.service.start().await?;
        sleep(hold).await;
        let after = waiting(&world).await?;
        ensure!(after > before, "{before} deliveries waited, and {after} after a restart");
        world.add_note(format!("{after} deliveries waited in one inbox"));
        world.proxy()?.set(Mode::Pass);
        world.log("fault removed");
    }
    world.calm().await;
    world.finish(load, Expect::Refusals).await?;
    check_balance(&world, u32::try_from(cuts.len())?)
}

/// One service is killed for good with deliveries in its inbox. Its data folder is moved, and
/// `verbatim drain` empties it, also after it was killed itself.
pub(crate) async fn orphan(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup { proxy: true, ..three_services() }).await?;
    let load = world.load(Load::default());
    world.calm().await;
    world.fault("service 1 is cut off from Postgres");
    world.proxy()?.set(Mode::Cut);
    sleep(trial.options.hold(4, 30)).await;
    let waiting = waiting(&world).await?;
    world.fault("kill -9 of service 1, for good");
    world.service.retire()?;
    world.add_note(format!("{waiting} deliveries or more were in the inbox that was left"));
    world.calm().await;

    let data = trial.folder.join("volume");
    std::fs::rename(&world.service.data, &data)?;
    let url = Postgres::url(world.postgres()?.port());
    let mut command = tokio::process::Command::from(drain(&data, &url));
    command.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    world.fault("kill -9 of `verbatim drain`");
    let mut killed = command.spawn()?;
    sleep(Duration::from_millis(trial.rng(31).random_range(DRAIN_KILLED_AFTER_MS))).await;
    killed.kill().await?;
    let first = timeout(DRAIN_MAX, command.output()).await??;
    world.add_note(format!("{} drained after it", drained(&first)?));
    let second = drained(&timeout(DRAIN_MAX, command.output()).await??)?;
    ensure!(second == 0, "a second run has drained {second} more");
    world.calm().await;
    world.finish(load, Expect::Refusals).await?;
    check_balance(&world, 1)
}

/// Returns the number of deliveries in the inbox of the service that is cut off. Fails if the cut
/// has no effect.
async fn waiting(world: &World) -> anyhow::Result<u64> {
    let inbox = world.service.json("/readyz").await?["inbox"].clone();
    let age = inbox["oldest_age_seconds"].as_f64();
    ensure!(age > Some(STOPPED_AGE), "the fault had no effect: {inbox}");
    Ok(inbox["deliveries"].as_u64().unwrap_or(0))
}

/// Returns the number of deliveries that `verbatim drain` reports. Fails if it failed.
fn drained(output: &Output) -> anyhow::Result<u64> {
    let (text, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "verbatim drain ended with {}: {log}", output.status);
    Ok(text.split_whitespace().last().unwrap_or_default().replace(',', "").parse()?)
}

/// Fails if attempts failed that another service could have answered. `kills` is the number of
/// services that were killed or stopped: each may break the attempts that it was processing.
fn check_balance(world: &World, kills: u32) -> anyhow::Result<()> {
    let (figures, balancer) = (world.ledger.figures(), world.balancer()?);
    let (passed_on, unserved) = (balancer.passed_on(), balancer.unserved());
    world.add_note(format!("{passed_on} attempts were passed on to another service"));
    ensure!(unserved == 0, "every service refused {unserved} attempts");
    ensure!(passed_on > 0, "no attempt was passed on");
    let broken = figures.refused();
    ensure!(broken <= u64::from(kills * SENDERS), "{kills} kills broke {broken} attempts");
    ensure!(figures.statuses.is_empty(), "attempts were answered {:?}", figures.statuses);
    Ok(())
}
