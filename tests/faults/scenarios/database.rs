//! Postgres: deadlocks, a full disk, and a long outage.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::faults::{self, STOPPED_AGE};
use crate::load::Load;
use crate::surroundings::SmallDisk;
use crate::world::{Expect, Setup, Trial};

/// Size of the disk that fills up, in MiB: a cluster, its log, and little more.
pub(crate) const DISK_MIB: u64 = 320;
/// Settings with which the transaction log soon needs more space.
pub(crate) const LITTLE_LOG: &[&str] = &["max_wal_size=64MB", "min_wal_size=32MB"];
/// Interval at which freed space is filled again.
const REFILL: Duration = Duration::from_millis(500);

/// Limits for answers during the outage, and for the drain after it.
const OUTAGE_P99_MAX: Duration = Duration::from_millis(25);
const OUTAGE_DRAIN_MAX: Duration = Duration::from_mins(1);
/// Limit for memory during the outage, in bytes. The backlog holds at most 32 MiB of bodies.
const OUTAGE_MEMORY_MAX: u64 = 256 << 20;

/// Deadlocks between the drain and another session.
pub(crate) async fn deadlock(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let postgres = world.postgres()?;
    let rounds = trial.options.choose(3, 10);
    let load = world.load(Load::default());
    world.calm().await;
    for round in 1..=rounds {
        world.fault(&format!("a deadlock, {round} of {rounds}"));
        faults::deadlock(&world).await?;
    }
    let found = postgres
        .number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'verbatim'")
        .await?;
    world.add_note(format!("Postgres counted {found} deadlocks"));
    ensure!(found > 0, "no deadlock occurred");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// The cluster's disk is full: first tables cannot grow, then the transaction log.
pub(crate) async fn disk_full(trial: &Trial) -> anyhow::Result<()> {
    let disk = SmallDisk::mount(&trial.folder.join("disk"), DISK_MIB)?;
    let setup = Setup { cluster: Some(disk), postgres: LITTLE_LOG, ..Setup::default() };
    let world = trial.world(setup).await?;
    let load = world.load(Load::default());
    world.calm().await;
    world.fault("the disk of the database is full");
    let full = Instant::now();
    while full.elapsed() < trial.options.hold(8, 30) {
        // Postgres frees space at times, for instance after a recovery.
        world.cluster_disk()?.fill()?;
        tokio::time::sleep(REFILL).await;
    }
    let inbox = world.service.json("/readyz").await?["inbox"].clone();
    world.add_note(format!("{} deliveries waited in the inbox", inbox["deliveries"]));
    let age = inbox["oldest_age_seconds"].as_f64();
    ensure!(age > Some(STOPPED_AGE), "the full disk did not stop Postgres: {inbox}");
    world.cluster_disk()?.empty()?;
    // Postgres may have stopped, so start it again.
    world.postgres()?.start().await?;
    world.log("the disk has space again");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// Postgres is away for minutes. No sender notices, and the drain catches up.
pub(crate) async fn outage(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let postgres = world.postgres()?;
    let load = world.load(Load { rate: 500, ..Load::default() });
    world.calm().await;
    world.fault("Postgres is stopped");
    postgres.stop().await?;
    tokio::time::sleep(trial.options.hold(15, 300)).await;
    let waiting = world.service.json("/readyz").await?["inbox"].clone();
    world.add_note(format!("the inbox held {waiting}"));
    postgres.start().await?;
    world.log("Postgres is back, and the load continues");
    let drain = world.caught_up().await?;
    world.add_note(format!("drained {:.1} s after Postgres was back", drain.as_secs_f64()));
    world.finish(load, Expect::AllAnswered).await?;
    let (p99, memory) = (world.ledger.figures().latency(0.99), world.service.peak_memory());
    ensure!(drain < OUTAGE_DRAIN_MAX, "the drain took {drain:?}");
    ensure!(memory < OUTAGE_MEMORY_MAX, "the service used {} MiB", memory >> 20);
    // A debug build is several times as slow, and is not judged.
    ensure!(cfg!(debug_assertions) || p99 < OUTAGE_P99_MAX, "p99 was {p99:?}");
    Ok(())
}
