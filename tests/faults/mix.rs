//! Random faults, several at a time: a plan is drawn from a seed, and then carried out.

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

/// Length of a fault, and of the pause before it, in milliseconds.
const HOLD_MS: std::ops::Range<u64> = 200..5_000;
/// Time that the service is away. While nothing is answered, nothing can be lost.
const AWAY_MS: std::ops::Range<u64> = 0..500;
const GAP_MS: std::ops::Range<u64> = 200..4_000;
/// Not in a short mix: the service waits a minute for such a connection.
const SLOW: &str = "net-half-open";
/// Affects the server as well as the service, so it excludes other faults of the server.
const BOTH: &str = "kill-both";
/// Probability that a target has faults at all. In a mix without faults of the inbox, only the
/// absence of the service excuses a failed attempt.
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

/// Runs random faults for as long as `lasts`.
pub(crate) async fn mix(trial: &Trial, lasts: Duration) -> anyhow::Result<()> {
    let mut rng = trial.rng(20);
    let setup = surroundings(trial)?;
    let has = |target: &Target| match target {
        Target::Inbox => setup.inbox.is_some(),
        Target::Clock => setup.clock.is_some(),
        _ => true,
    };
    let mut plans = Vec::new();
    while plans.is_empty() {
        let drawn: Vec<Target> = TARGETS.into_iter().filter(|_| rng.random_bool(LIKELY)).collect();
        plans = drawn
            .into_iter()
            .filter(has)
            .map(|target| plan(&mut rng, target, lasts, trial.options.short))
            .collect();
    }
    let world = trial.world(setup).await?;
    let load = world.load(Load::default());
    let server = Mutex::new(());
    let faults = try_join_all(plans.iter().map(|plan| run_erasure(&world, plan, &server)));
    tokio::select! {
        outcome = faults => { outcome?; }
        never = impatient(&world, trial.rng(21)) => never,
    }
    world.log("all faults removed");
    world.calm().await;
    world.finish(load, Expect::Refusals).await?;
    let Report { faults: started, not_started, .. } = trial.report();
    ensure!(started > not_started, "{not_started} faults did not start, and only {started} did");
    Ok(())
}

/// Returns the surroundings that this machine allows: without root no disks, without libfaketime no
/// clock.
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

fn unless_skipped<T>(made: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match made {
        Ok(made) => Ok(Some(made)),
        Err(error) if error.is::<Skip>() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Draws the faults of one target, in order.
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

async fn run_erasure(world: &World, steps: &[Step], server: &Mutex<()>) -> anyhow::Result<()> {
    for step in steps {
        tokio::time::sleep(step.gap).await;
        let alone = step.fault.target == Target::Server || step.fault.name == BOTH;
        let _guard = if alone { Some(server.lock().await) } else { None };
        world.log(&format!("{} for {:.1} s", step.fault.name, step.hold.as_secs_f64()));
        match (step.fault.inject)(world).await {
            Ok(heal) => {
                world.report().faults += 1;
                tokio::time::sleep(step.hold).await;
                heal.await?;
                world.log(&format!("{} removed", step.fault.name));
            }
            // Such as a table that cannot be locked because the server is stopped.
            Err(error) => {
                world.report().not_started += 1;
                world.log(&format!("{} did not start: {error:#}", step.fault.name));
            }
        }
    }
    Ok(())
}

/// Sends deliveries without waiting for answers, until the mix ends.
async fn impatient(world: &World, mut rng: StdRng) -> ! {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..100))).await;
        let delivery = world.ledger.next();
        if let Ok(mut connection) = Connection::open(world.service.address).await {
            let _ = connection.send(&delivery.request()).await;
        }
    }
}
