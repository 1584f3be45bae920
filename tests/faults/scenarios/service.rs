//! The service itself: killed, and replaced.

use std::time::Duration;

use rand::RngExt as _;

use crate::load::Load;
use crate::world::{Expect, Setup, Trial};

/// A kill comes so long after the start that is before it, in milliseconds: some of them meet a
/// service that has not begun to listen.
const KILL_AFTER_MS: std::ops::Range<u64> = 20..900;

/// `kill -9` at random moments. What was not answered then was sent for nothing, and that is all.
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
        tokio::time::sleep(Duration::from_millis(rng.random_range(KILL_AFTER_MS))).await;
    }
    world.service.answering().await?;
    world.calm().await;
    world.finish(load, Expect::Refusals).await
}
