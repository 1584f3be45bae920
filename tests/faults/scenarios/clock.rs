//! The service's clock. The clocks of the suite and of Postgres stay right.

use std::time::Duration;

use crate::load::Load;
use crate::service::Spec;
use crate::surroundings::ServiceClock;
use crate::world::{Expect, Setup, Trial};

/// Positions of the clock, in order: a correction, summer time, an empty battery, a day without a
/// partition, and the right time again.
const JUMPS: [&str; 7] = ["+2s", "-2s", "+3600s", "-3600s", "-86400s", "+3456000s", "+0s"];

/// Jumps of seconds, hours and weeks.
pub(crate) async fn jump(trial: &Trial) -> anyhow::Result<()> {
    let clock = ServiceClock::new(&trial.folder)?;
    let service = Spec { environment: clock.environment(), ..Spec::default() };
    let world = trial.world(Setup { service, ..Setup::default() }).await?;
    let load = world.load(Load::default());
    world.calm().await;
    for jump in JUMPS {
        world.fault(&format!("the clock jumps to {jump}"));
        clock.jump(jump)?;
        tokio::time::sleep(trial.options.hold(1, 4)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    check_jumped(&world).await?;
    world.finish(load, Expect::AllAnswered).await
}

/// Fails if the deliveries do not show that the clock has jumped.
async fn check_jumped(world: &crate::world::World) -> anyhow::Result<()> {
    world.drained().await?;
    let days = world
        .postgres()?
        .number("SELECT count(DISTINCT date_trunc('day', received_at)) FROM deliveries")
        .await?;
    anyhow::ensure!(days >= 3, "libfaketime did not move the clock: {days} days");
    Ok(())
}
