//! Faults of the service: killed, and replaced.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use rand::RngExt as _;
use tokio::time::timeout_at;

use crate::load::Load;
use crate::process;
use crate::proxy::Mode;
use crate::service::Spec;
use crate::world::{Expect, Setup, Trial};

/// Time from a start to the next kill, in milliseconds. Some kills meet a service that does not
/// listen yet.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..900;

/// `kill -9` at random moments. Unanswered deliveries may be lost, all others must be stored.
pub(crate) async fn kill(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let kills = trial.options.kills.unwrap_or(trial.options.choose(8, 50));
    let mut rng = trial.rng(10);
    let load = world.load(Load::default());
    world.calm().await;
    for kill in 1..=kills {
        world.fault(&format!("kill -9 of the service, {kill} of {kills}"));
        world.service.kill()?;
        world.service.spawn()?;
        let after = Instant::now() + Duration::from_millis(rng.random_range(KILL_AFTER_MS));
        // From here on a failed attempt has no excuse.
        if let Ok(answering) = timeout_at(after.into(), world.service.answering()).await {
            answering?;
            tokio::time::sleep_until(after.into()).await;
        }
    }
    world.service.answering().await?;
    world.calm().await;
    world.finish(load, Expect::Refusals).await
}

/// `kill -9` of the service and of its private server at the same moment: close to a crash of the
/// machine, but the kernel keeps its unwritten pages.
pub(crate) async fn kill_both(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup { private: true, ..Setup::default() }).await?;
    let kills = trial.options.kills.unwrap_or(trial.options.choose(3, 10));
    let mut rng = trial.rng(10);
    let load = world.load(Load::default());
    for kill in 1..=kills {
        world.calm().await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..1_000))).await;
        world.fault(&format!("kill -9 of the service and the postmaster, {kill} of {kills}"));
        let pid_file = world.service.data.join("postgres/cluster/postmaster.pid");
        let pid_file = std::fs::read_to_string(&pid_file).context("the postmaster's pid file")?;
        let postmaster = pid_file.lines().next().unwrap_or_default().trim().parse()?;
        let mut both = process::children(postmaster)?;
        both.push(postmaster);
        world.service.kill()?;
        for pid in both {
            // Some end without a signal once the postmaster has ended.
            let _ = process::signal(pid, Signal::SIGKILL);
        }
        world.service.start().await?;
    }
    world.calm().await;
    world.finish(load, Expect::Refusals).await
}

/// The service starts while the network to Postgres drops everything. Its requests of that time are
/// never answered, and it must not wait for them once the network works.
pub(crate) async fn start_half_open(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup { proxy: true, ..Setup::default() }).await?;
    world.service.kill()?;
    world.fault("the network drops everything, and the service starts");
    world.proxy()?.set(Mode::HalfOpen);
    world.service.start().await?;
    let load = world.load(Load::default());
    tokio::time::sleep(trial.options.hold(5, 20)).await;
    world.proxy()?.set(Mode::Pass);
    world.log("fault removed");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// The service is replaced under load, as systemd does with a socket unit. Meanwhile connections
/// wait in the kernel's queue. None is refused, and none is reset.
pub(crate) async fn rolling_restart(trial: &Trial) -> anyhow::Result<()> {
    let service = Spec { socket_activation: true, ..Spec::default() };
    let world = trial.world(Setup { service, ..Setup::default() }).await?;
    let restarts = trial.options.choose(3, 10);
    // Half of the senders use keep-alive, and half open a connection for each delivery.
    let half = Load { rate: 100, connections: 8, keep_alive: true };
    let keep_alive = world.load(half);
    let load = world.load(Load { keep_alive: false, ..half });
    for restart in 1..=restarts {
        world.calm().await;
        world.fault(&format!("restart {restart} of {restarts}"));
        let status = world.service.stop().await?;
        ensure!(status.success(), "the service ended with {status}");
        world.service.start().await?;
    }
    world.calm().await;
    keep_alive.stop().await;
    world.finish(load, Expect::AllAnswered).await
}
