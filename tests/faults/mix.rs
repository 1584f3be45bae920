//! Faults at random, several at a time: a plan is drawn from a seed, and then carried out.

use std::time::Duration;

use futures_util::future::try_join_all;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::faults::{ALL, Fault, Target};
use super::http::Connection;
use super::load::Load;
use super::world::{Expect, Setup, Trial, World};

/// How long a fault lasts, and how long nothing is done to its target, in milliseconds.
const HOLD_MS: std::ops::Range<u64> = 200..5_000;
/// How long the service is away. Where nobody answers there is nothing to lose.
const AWAY_MS: std::ops::Range<u64> = 0..500;
const GAP_MS: std::ops::Range<u64> = 200..4_000;
/// Kept out of a short mix: the service gives such a connection a minute.
const SLOW: &str = "net-half-open";

/// One fault of a plan.
struct Step {
    gap: Duration,
    fault: &'static Fault,
    hold: Duration,
}

/// Faults for as long as `lasts`.
pub(crate) async fn mix(trial: &Trial, lasts: Duration) -> anyhow::Result<()> {
    let mut rng = trial.rng(20);
    let lanes = [Target::Server, Target::Session, Target::Network, Target::Service]
        .map(|target| plan(&mut rng, target, lasts, trial.options.short));
    let setup = Setup { proxy: true, postgres: &["max_connections=40"], ..Setup::default() };
    let world = trial.world(setup).await?;
    let load = world.load(Load::default());
    let faults = try_join_all(lanes.iter().map(|lane| carry_out(&world, lane)));
    tokio::select! {
        outcome = faults => { outcome?; }
        never = impatient(&world, trial.rng(21)) => never,
    }
    world.tell("all put right");
    world.calm().await;
    world.finish(load, Expect::Refusals).await
}

/// What is done to one target, one after the other.
fn plan(rng: &mut StdRng, target: Target, lasts: Duration, short: bool) -> Vec<Step> {
    let candidates: Vec<&Fault> = ALL
        .iter()
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

async fn carry_out(world: &World, steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        tokio::time::sleep(step.gap).await;
        world.fault(&format!("{} for {:.1} s", step.fault.name, step.hold.as_secs_f64()));
        match (step.fault.inject)(world).await {
            Ok(heal) => {
                tokio::time::sleep(step.hold).await;
                heal.await?;
                world.tell(&format!("{} put right", step.fault.name));
            }
            // Such as a table that cannot be locked, since the server is stopped already.
            Err(error) => world.tell(&format!("{} cannot be had: {error:#}", step.fault.name)),
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
