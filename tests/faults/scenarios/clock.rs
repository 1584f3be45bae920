//! The service's clock, by libfaketime: the suite's own, and Postgres', go on as ever.

use std::path::Path;
use std::time::Duration;

use crate::load::Load;
use crate::service::Spec;
use crate::world::{Expect, Setup, Trial, skip};

/// Where Debian, Fedora and Arch put the library.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// Where the clock is, one after the other: a correction, summer time, a dead battery, a day
/// for which there is no partition, and home again.
const JUMPS: [&str; 7] = ["+2s", "-2s", "+3600s", "-3600s", "-86400s", "+3456000s", "+0s"];

/// Steps of seconds, hours and weeks.
pub(crate) async fn jump(trial: &Trial) -> anyhow::Result<()> {
    let Some(library) = LIBRARIES.iter().find(|library| Path::new(library).exists()) else {
        return Err(skip("libfaketime is not here (on Debian: apt-get install faketime)"));
    };
    let file = trial.folder.join("clock");
    std::fs::write(&file, "+0s\n")?;
    let environment = [
        ("LD_PRELOAD", *library),
        ("FAKETIME_TIMESTAMP_FILE", &file.to_string_lossy()),
        ("FAKETIME_NO_CACHE", "1"),
        // What a timer reads does not jump, on a real machine either.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let service = Spec { environment, ..Spec::default() };
    let world = trial.world(Setup { service, ..Setup::default() }).await?;
    let load = world.load(Load::default());
    world.calm().await;
    for jump in JUMPS {
        world.fault(&format!("the clock jumps to {jump}"));
        // Moved into place, so that nobody reads half of it.
        let next = trial.folder.join("clock.next");
        std::fs::write(&next, format!("{jump}\n"))?;
        std::fs::rename(&next, &file)?;
        tokio::time::sleep(trial.options.hold(1, 4)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    jumped(&world).await?;
    world.finish(load, Expect::AllAnswered).await
}

/// The clock has jumped indeed: deliveries carry the times.
async fn jumped(world: &crate::world::World) -> anyhow::Result<()> {
    world.drained().await?;
    let days = world
        .postgres()?
        .number("SELECT count(DISTINCT date_trunc('day', received_at)) FROM deliveries")
        .await?;
    anyhow::ensure!(days >= 3, "libfaketime did not move the clock: {days} days");
    Ok(())
}
