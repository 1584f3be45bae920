//! Faults at random, several at a time: a plan is drawn from a seed, and then carried out.

use std::time::Duration;

use anyhow::ensure;
use futures_util::future::try_join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::sync::Mutex;

use super::faults::{ALL, Fault, IN_MIXES, Target};
use super::http::Connection;
use super::load::Load;
use super::scenarios::{database, disk};
use super::surroundings::{ServiceClock, SmallDisk};
use super::world::{Expect, Report, Setup, Skip, Trial, World};

/// How long a fault lasts, and how long nothing is done to its target, in milliseconds.
const HOLD_MS: std::ops::Range<u64> = 200..5_000;
/// How long the service is away. Where nobody answers there is nothing to lose.
const AWAY_MS: std::ops::Range<u64> = 0..500;
const GAP_MS: std::ops::Range<u64> = 200..4_000;
/// Kept out of a short mix: the service gives such a connection a minute.
const SLOW: &str = "net-half-open";
/// Done to the server as well as to the service, so that nothing else may be done to the server.
const BOTH: &str = "kill-both";
/// How likely it is that anything is done to a target at all. Where nothing is done to the inbox,
/// nobody but the service's absence excuses a refusal.
const LIKELY: f64 = 0.7;
const TARGETS: [Target; 7] = {
    use Target::{Clients, Clock, Inbox, Network, Server, Service, Session};
    [Server, Session, Network, Service, Inbox, Clock, Clients]
};

/// One fault of a plan.
struct Step {
    gap: Duration,
    fault: &'static Fault,
    hold: Duration,
}

/// Faults for as long as `lasts`.
pub(crate) async fn mix(trial: &Trial, lasts: Duration) -> anyhow::Result<()> {
    let mut rng = trial.rng(20);
    let setup = surroundings(trial)?;
    let has = |target: &Target| match target {
        Target::Inbox => setup.inbox.is_some(),
        Target::Clock => setup.clock.is_some(),
        _ => true,
    };
    let mut lanes = Vec::new();
    while lanes.is_empty() {
        let drawn: Vec<Target> = TARGETS.into_iter().filter(|_| rng.random_bool(LIKELY)).collect();
        lanes = drawn
            .into_iter()
            .filter(has)
            .map(|target| plan(&mut rng, target, lasts, trial.options.short))
            .collect();
    }
    let world = trial.world(setup).await?;
    let load = world.load(Load::default());
    let server = Mutex::new(());
    let faults = try_join_all(lanes.iter().map(|lane| carry_out(&world, lane, &server)));
    tokio::select! {
        outcome = faults => { outcome?; }
        never = impatient(&world, trial.rng(21)) => never,
    }
    world.tell("all put right");
    world.calm().await;
    world.finish(load, Expect::Refusals).await?;
    let Report { faults: had, not_had, .. } = trial.report();
    ensure!(had > not_had, "{not_had} faults could not be had, and only {had} could");
    Ok(())
}

/// Whatever this machine has of what can be taken from a service. Nothing is done to the rest.
fn surroundings(trial: &Trial) -> anyhow::Result<Setup> {
    Ok(Setup {
        proxy: true,
        postgres: &["max_connections=40", "max_wal_size=64MB", "min_wal_size=32MB"],
        cluster: unless_skipped(SmallDisk::mount(&trial.folder.join("disk"), database::DISK_MIB))?,
        inbox: unless_skipped(SmallDisk::mount(&disk::inbox(trial), disk::DISK_MIB))?,
        clock: unless_skipped(ServiceClock::new(&trial.folder))?,
        ..Setup::default()
    })
}

fn unless_skipped<T>(had: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match had {
        Ok(had) => Ok(Some(had)),
        Err(error) if error.is::<Skip>() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is done to one target, one after the other.
fn plan(rng: &mut StdRng, target: Target, lasts: Duration, short: bool) -> Vec<Step> {
    let candidates: Vec<&Fault> = ALL
        .iter()
        .chain(IN_MIXES)
        .filter(|fault| fault.target == target && !(short && fault.name == SLOW))
        .collect();
    let (mut steps, mut length) = (Vec::new(), Duration::ZERO);
    while let Some(fault) = candidates.choose(rng).copied() {
        let gap = Duration::from_millis(rng.random_range(GAP_MS));
        let range = if target == Target::Service { AWAY_MS } else { HOLD_MS };
        let hold = Duration::from_millis(rng.random_range(range));
        length += gap + hold;
        if length > lasts {
            break;
        }
        steps.push(Step { gap, fault, hold });
    }
    steps
}

async fn carry_out(world: &World, steps: &[Step], server: &Mutex<()>) -> anyhow::Result<()> {
    for step in steps {
        tokio::time::sleep(step.gap).await;
        let alone = step.fault.target == Target::Server || step.fault.name == BOTH;
        let _held = if alone { Some(server.lock().await) } else { None };
        world.tell(&format!("{} for {:.1} s", step.fault.name, step.hold.as_secs_f64()));
        match (step.fault.inject)(world).await {
            Ok(heal) => {
                world.report().faults += 1;
                tokio::time::sleep(step.hold).await;
                heal.await?;
                world.tell(&format!("{} put right", step.fault.name));
            }
            // Such as a table that cannot be locked, since the server is stopped already.
            Err(error) => {
                world.report().not_had += 1;
                world.tell(&format!("{} cannot be had: {error:#}", step.fault.name));
            }
        }
    }
    Ok(())
}

/// Clients that do not wait for the answer, all the while.
async fn impatient(world: &World, mut rng: StdRng) -> ! {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
        let delivery = world.ledger.next();
        if let Ok(mut connection) = Connection::open(world.service.address).await {
            let _ = connection.send(&delivery.request()).await;
        }
    }
}
