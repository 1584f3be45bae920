//! Faults of the standby for reads. Deliveries and reads must continue during all of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;

use crate::load::Load;
use crate::world::{Expect, Setup, Trial, World};

/// Paths that are read all the time.
const PATHS: [&str; 4] = [
    "/v1/sessions?limit=20&include=messages",
    "/v1/agents",
    "/v1/search?q=the",
    "/v1/analytics/summary?metric=messages&period=today",
];
/// Longest time until the service notices a change.
const NOTICE_MAX: Duration = Duration::from_secs(30);
/// Pause between two reads, and between two checks.
const PAUSE: Duration = Duration::from_millis(20);

/// Number of successful and failed reads, and the slowest time.
#[derive(Debug, Default)]
struct Reads {
    stop: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    slowest_ms: AtomicU64,
}

impl Reads {
    /// Reads until it is stopped.
    async fn run(&self, world: &World) {
        for path in PATHS.iter().cycle() {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let begin = Instant::now();
            let answer = world.service.get(path).await;
            let took = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.slowest_ms.fetch_max(took, Ordering::Relaxed);
            match answer {
                Ok(answer) if answer.status == 200 => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                other => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    world.log(&format!("{path}: {other:?}"));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Stops, pauses, kills and promotes a standby while it is read.
pub(crate) async fn standby(trial: &Trial) -> anyhow::Result<()> {
    let world = trial.world(Setup { standby: true, ..Setup::default() }).await?;
    let load = world.load(Load::default());
    let reads = Reads::default();
    let faults = async {
        let outcome = disturb(&world, trial).await;
        reads.stop.store(true, Ordering::Relaxed);
        outcome
    };
    let (outcome, ()) = tokio::join!(faults, reads.run(&world));
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let (answered, failed) = (count(&reads.answered), count(&reads.failed));
    let slowest = count(&reads.slowest_ms);
    let metrics = world.service.get("/metrics").await?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let server = |name: &str| {
        let series = format!("verbatim_reads_total{{server=\"{name}\"}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap_or("0").to_owned()
    };
    let (standby, primary) = (server("standby"), server("primary"));
    world.add_note(format!(
        "{answered} reads answered, {failed} failed, the slowest took {slowest} ms; {standby} from \
         the standby, {primary} from the primary"
    ));
    outcome?;
    ensure!(failed == 0, "{failed} reads failed");
    ensure!(standby != "0" && primary != "0", "not both servers were read");
    world.finish(load, Expect::AllAnswered).await
}

async fn disturb(world: &World, trial: &Trial) -> anyhow::Result<()> {
    let standby = world.standby()?;
    wait_for_state(world, "used").await?;
    for _ in 0..trial.options.choose(1, 3) {
        world.calm().await;
        world.fault("the standby is stopped");
        standby.stop().await?;
        wait_for_state(world, "unreachable").await?;
        world.calm().await;
        standby.start().await?;
        wait_for_state(world, "used").await?;
        world.fault("the standby does not replay");
        standby.sql("SELECT pg_wal_replay_pause()").await?;
        wait_for_state(world, "lagging").await?;
        world.calm().await;
        standby.sql("SELECT pg_wal_replay_resume()").await?;
        wait_for_state(world, "used").await?;
        world.fault("the standby is killed");
        standby.kill().await?;
        standby.start().await?;
        wait_for_state(world, "used").await?;
        world.fault("the standby is paused");
        standby.signal_all(Signal::SIGSTOP)?;
        wait_for_state(world, "unreachable").await?;
        world.calm().await;
        standby.signal_all(Signal::SIGCONT)?;
        wait_for_state(world, "used").await?;
    }
    world.calm().await;
    world.fault("the standby is promoted");
    standby.sql("SELECT pg_promote()").await?;
    wait_for_state(world, "promoted").await?;
    world.calm().await;
    Ok(())
}

/// Waits until the service reports this state of the standby.
async fn wait_for_state(world: &World, state: &str) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let ready = world.service.json("/readyz").await.context("/readyz")?;
        if ready["replica"]["state"] == state {
            world.log(&format!("{state}, after {:.1} s", begin.elapsed().as_secs_f64()));
            return Ok(());
        }
        ensure!(begin.elapsed() < NOTICE_MAX, "the standby is not {state}: {}", ready["replica"]);
        tokio::time::sleep(PAUSE).await;
    }
}
