//! Postgres: deadlocks, a full disk, and a long absence.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::ensure;
use nix::unistd::Uid;

use crate::load::Load;
use crate::postgres::run;
use crate::world::{Expect, Setup, Trial, World, skip};

/// Room of the disk that gets full, in MiB: a cluster, its log, and little more.
const DISK_MIB: u64 = 320;

/// Answers while Postgres is away, and the drain after it.
const OUTAGE_P99_MAX: Duration = Duration::from_millis(25);
const OUTAGE_DRAIN_MAX: Duration = Duration::from_mins(1);
/// Memory during it, in bytes. The backlog keeps 32 MiB of bodies, and no more however long it is.
const OUTAGE_MEMORY_MAX: u64 = 256 << 20;

/// Somebody holds what the drain takes last, waits until it waits, and asks for what it holds.
pub(crate) async fn deadlock(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let postgres = world.postgres()?;
    let rounds = trial.options.choose(3, 10);
    let load = world.load(Load::default());
    world.calm().await;
    for round in 1..=rounds {
        world.fault(&format!("a deadlock, {round} of {rounds}"));
        let mut other = postgres.admin("verbatim").await?;
        // Ours is not the one that gives way.
        run(&mut other, "SET deadlock_timeout = '1min'; BEGIN").await?;
        run(&mut other, "SELECT 1 FROM agents FOR UPDATE").await?;
        waits(&world).await?;
        run(&mut other, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; COMMIT").await?;
    }
    let found = postgres
        .number("SELECT deadlocks FROM pg_stat_database WHERE datname = 'verbatim'")
        .await?;
    world.note(format!("Postgres counted {found} deadlocks"));
    ensure!(found > 0, "no deadlock came about");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await
}

/// The service waits for a lock.
async fn waits(world: &World) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE usename = 'verbatim' AND wait_event_type = 'Lock'";
    while world.postgres()?.number(waiting).await? == 0 {
        ensure!(Instant::now() < deadline, "the drain does not meet the lock");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The cluster's disk is full: tables cannot grow, and then the log of transactions cannot.
pub(crate) async fn disk_full(trial: &Trial) -> anyhow::Result<()> {
    let disk = SmallDisk::mount(&trial.folder.join("disk"), DISK_MIB)?;
    let setup = Setup {
        cluster: Some(disk.folder.join("cluster")),
        postgres: &["max_wal_size=64MB", "min_wal_size=32MB"],
        ..Setup::default()
    };
    let world = trial.world(setup).await?;
    let load = world.load(Load::default());
    world.calm().await;
    world.fault("the disk of the database is full");
    let filler = disk.fill()?;
    tokio::time::sleep(trial.options.hold(8, 30)).await;
    let waiting = world.service.json("/readyz").await?["inbox"]["deliveries"].as_u64();
    world.note(format!("{} deliveries waited in the inbox", waiting.unwrap_or(0)));
    ensure!(waiting > Some(0), "Postgres did not mind the full disk");
    std::fs::remove_file(filler)?;
    // It may have given up in the end; its keeper starts it again.
    world.postgres()?.start().await?;
    world.tell("room again");
    world.calm().await;
    let finished = world.finish(load, Expect::AllAnswered).await;
    // The server goes before its disk.
    drop(world);
    drop(disk);
    finished
}

/// A small file system in memory.
pub(crate) struct SmallDisk {
    pub(crate) folder: PathBuf,
}

impl SmallDisk {
    /// Mounts it; where that is not allowed, the scenario is skipped.
    pub(crate) fn mount(folder: &Path, mib: u64) -> anyhow::Result<Self> {
        if !Uid::effective().is_root() {
            return Err(skip("only root can mount a small disk"));
        }
        std::fs::create_dir_all(folder)?;
        let options = format!("size={mib}m,mode=0711");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(folder)
            .output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self { folder: folder.to_owned() }),
            Ok(output) => Err(skip(format!(
                "a small disk cannot be mounted here: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ))),
            Err(error) => Err(skip(format!("a small disk cannot be mounted here: {error}"))),
        }
    }

    /// Takes all the room there is; the file that has it.
    pub(crate) fn fill(&self) -> anyhow::Result<PathBuf> {
        use std::io::Write as _;

        let path = self.folder.join("filler");
        let mut file = std::fs::File::create(&path)?;
        let chunk = vec![0x5a; 64 << 10];
        // Ever smaller ones, to the last page.
        for size in [64 << 10, 4 << 10] {
            while file.write_all(&chunk[..size]).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a process that is about to end may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

/// Postgres is away for minutes. Nobody notices, and it catches up.
pub(crate) async fn outage(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup::default()).await?;
    let postgres = world.postgres()?;
    let load = world.load(Load { rate: 500, ..Load::default() });
    world.calm().await;
    world.fault("Postgres is stopped");
    postgres.stop().await?;
    tokio::time::sleep(trial.options.hold(15, 300)).await;
    let waiting = world.service.json("/readyz").await?["inbox"].clone();
    world.note(format!("the inbox held {waiting}"));
    postgres.start().await?;
    world.tell("Postgres is back, and the load goes on");
    let drain = world.caught_up().await?;
    world.note(format!("drained {:.1} s after Postgres was back", drain.as_secs_f64()));
    world.finish(load, Expect::AllAnswered).await?;
    let (p99, memory) = (world.ledger.figures().latency(0.99), world.service.peak_memory());
    ensure!(drain < OUTAGE_DRAIN_MAX, "the drain took {drain:?}");
    ensure!(memory < OUTAGE_MEMORY_MAX, "the service took {} MiB", memory >> 20);
    // A build for debugging is several times as slow; it says so, and is not judged.
    ensure!(cfg!(debug_assertions) || p99 < OUTAGE_P99_MAX, "p99 was {p99:?}");
    Ok(())
}
