//! Faults that last for a while: what sets them on, and what puts things right. Each is a scenario
//! of its own, and a random mix draws from them.

use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use sqlx::PgConnection;

use super::load::Load;
use super::postgres::{Postgres, run};
use super::proxy::Mode;
use super::scenarios::clients;
use super::scenarios::disk::{Tracer, writable};
use super::world::{Expect, Setup, Trial, World};

/// Work on a world.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = anyhow::Result<T>> + Send + 'a>>;
/// What puts a fault right. It holds what the fault holds.
pub(crate) type Heal<'a> = Work<'a, ()>;

/// What a fault is done to. Two of the same are never on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The server's processes.
    Server,
    /// What the server is told: settings, locks, sessions.
    Session,
    /// The way to it.
    Network,
    /// Ours.
    Service,
    /// The disk of its inbox.
    Inbox,
    /// Its clock.
    Clock,
    /// Those who send.
    Clients,
}

/// How it shows that a fault has bitten. One that has not was none.
#[derive(Clone, Copy, Debug)]
enum Bite {
    /// In the end something has waited in the inbox for more than so many seconds.
    Waits(f64),
    /// Postgres says so in its log.
    Says(&'static str),
    /// The proxy has cut a connection between COMMIT and its reply.
    CutsCommit,
    /// The injection fails where it does not bite.
    Surely,
}

/// A fault that lasts.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    /// How long it lasts, in seconds: in the short form, and else.
    hold: [u64; 2],
    bite: Bite,
    pub(crate) inject: for<'a> fn(&'a World) -> Work<'a, Heal<'a>>,
}

/// `fault!(name, target, [short, else], how it shows, function)`.
macro_rules! fault {
    ($name:literal, $target:ident, $hold:expr, $bite:expr, $inject:path) => {
        Fault {
            name: $name,
            target: Target::$target,
            hold: $hold,
            bite: $bite,
            inject: |world| Box::pin($inject(world)),
        }
    };
}

/// What has waited for so long in the inbox, in seconds, has met the fault.
pub(crate) const STOPPED_AGE: f64 = 1.5;
/// Nothing gets to Postgres meanwhile.
const STOPS: Bite = Bite::Waits(STOPPED_AGE);
/// A batch takes several round trips of twice the delay. One, in seconds, is more than anything
/// waits in the inbox otherwise.
const DELAYS: Bite = Bite::Waits(0.6);
/// Answers of deliveries that are due while Postgres is held still.
const STILL_P99_MAX: Duration = Duration::from_millis(50);

/// All of them.
#[rustfmt::skip]
pub(crate) const ALL: &[Fault] = &[
    fault!("postgres-stop", Server, [8, 60], STOPS, still),
    fault!("postgres-refuses", Server, [5, 30], STOPS, stopped),
    fault!("postgres-restart", Server, [1, 5], Bite::Says("terminating connection due to administrator command"), restarted),
    fault!("kill-postmaster", Server, [3, 10], STOPS, postmaster_killed),
    fault!("recovery", Server, [5, 20], STOPS, recovery),
    fault!("read-only", Session, [5, 20], STOPS, read_only),
    fault!("table-locked", Session, [5, 30], STOPS, table_locked),
    fault!("statement-timeout", Session, [5, 20], Bite::Says("canceling statement due to statement timeout"), statement_timeout),
    fault!("connections-exhausted", Session, [5, 20], STOPS, connections_exhausted),
    fault!("net-delay", Network, [5, 20], DELAYS, net_delay),
    fault!("net-cut", Network, [5, 20], STOPS, net_cut),
    fault!("net-half-open", Network, [5, 20], STOPS, net_half_open),
    fault!("net-cut-after-commit", Network, [5, 20], Bite::CutsCommit, net_cut_after_commit),
];

/// Those that only mixes draw: scenarios of their own do the same more thoroughly.
#[rustfmt::skip]
pub(crate) const IN_MIXES: &[Fault] = &[
    fault!("postgres-disk-full", Server, [5, 20], Bite::Surely, cluster_full),
    fault!("deadlock", Session, [1, 1], Bite::Surely, deadlocked),
    fault!("service-killed", Service, [1, 1], Bite::Surely, service_killed),
    fault!("service-restarted", Service, [1, 1], Bite::Surely, service_restarted),
    fault!("kill-both", Service, [1, 1], Bite::Surely, both_killed),
    fault!("inbox-disk-full", Inbox, [3, 20], Bite::Surely, inbox_full),
    fault!("inbox-sync-fails", Inbox, [3, 20], Bite::Surely, inbox_sync_fails),
    fault!("clock-forward", Clock, [1, 4], Bite::Surely, clock_forward),
    fault!("clock-back", Clock, [1, 4], Bite::Surely, clock_back),
    fault!("slow-bodies", Clients, [1, 1], Bite::Surely, clients::some_slow_bodies),
    fault!("half-bodies", Clients, [1, 1], Bite::Surely, clients::some_half_bodies),
    fault!("wrong-length", Clients, [1, 1], Bite::Surely, clients::some_wrong_lengths),
    fault!("idle-connections", Clients, [1, 1], Bite::Surely, clients::some_idle_connections),
    fault!("flood", Clients, [1, 1], Bite::Surely, clients::a_flood),
];

impl Fault {
    /// By its name.
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        ALL.iter().find(|fault| fault.name == name).with_context(|| format!("no fault {name}"))
    }

    /// An error where what was done shows nowhere; `before` is how long Postgres' log was then.
    async fn must_bite(&self, world: &World, before: usize) -> anyhow::Result<()> {
        let inbox = world.service.json("/readyz").await?["inbox"].clone();
        world.tell(&format!("the inbox holds {inbox}"));
        let bites = match self.bite {
            Bite::Waits(seconds) => inbox["oldest_age_seconds"].as_f64() > Some(seconds),
            Bite::Says(what) => {
                world.postgres()?.log()?.get(before..).is_some_and(|log| log.contains(what))
            }
            Bite::CutsCommit => world.proxy()?.commits_cut() > 0,
            Bite::Surely => true,
        };
        ensure!(bites, "the fault was none: {:?} has not come true", self.bite);
        Ok(())
    }

    fn setup(&self) -> Setup {
        Setup {
            proxy: self.target == Target::Network,
            // Few, so that they are soon taken.
            postgres: &["max_connections=40"],
            ..Setup::default()
        }
    }
}

/// The scenario of one fault: load, the fault, some more load; nobody notices.
pub(crate) async fn hold(trial: &Trial, name: &'static str) -> anyhow::Result<()> {
    let fault = Fault::named(name)?;
    let world = trial.world(fault.setup()).await?;
    let load = world.load(Load::default());
    world.calm().await;
    let before = world.postgres()?.log()?.len();
    world.fault(fault.name);
    let heal = (fault.inject)(&world).await?;
    world.ledger.measure();
    tokio::time::sleep(trial.options.hold(fault.hold[0], fault.hold[1])).await;
    let (_, p99) = world.ledger.measured(0.99);
    fault.must_bite(&world, before).await?;
    heal.await?;
    world.tell("put right");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await?;
    // A build for debugging is several times as slow; it says so, and is not judged.
    let is_quick = cfg!(debug_assertions) || name != "postgres-stop" || p99 < STILL_P99_MAX;
    ensure!(is_quick, "p99 was {p99:?} while Postgres was held still");
    Ok(())
}

/// A heal that has nothing to do.
fn nothing<'a>() -> Heal<'a> {
    Box::pin(async { Ok(()) })
}

async fn still(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.signal_all(Signal::SIGSTOP)?;
    Ok(Box::pin(async { postgres.signal_all(Signal::SIGCONT) }))
}

async fn stopped(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.stop().await?;
    Ok(Box::pin(postgres.start()))
}

async fn restarted(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    for _ in 0..3 {
        postgres.stop().await?;
        postgres.start().await?;
        // Long enough for the service to come back, so that each meets it at work.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    Ok(nothing())
}

async fn postmaster_killed(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.kill().await?;
    Ok(Box::pin(postgres.start()))
}

async fn recovery(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.stop().await?;
    std::fs::write(postgres.cluster().join("standby.signal"), "")?;
    postgres.start().await?;
    Ok(Box::pin(async {
        // Connections survive the promotion: a writer that is pinned to one must notice.
        postgres.sql_in_the_end(PROMOTE).await?;
        postgres.sql_in_the_end("CREATE TEMPORARY TABLE writable ()").await
    }))
}

/// Asked for again, where the answer did not come in time.
const PROMOTE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(true, 60) END";

async fn cluster_full(world: &World) -> anyhow::Result<Heal<'_>> {
    let disk = world.cluster_disk()?;
    disk.fill()?;
    Ok(Box::pin(async {
        disk.empty()?;
        // It may have given up.
        world.postgres()?.start().await
    }))
}

async fn service_killed(world: &World) -> anyhow::Result<Heal<'_>> {
    world.service.kill()?;
    Ok(Box::pin(world.service.start()))
}

async fn service_restarted(world: &World) -> anyhow::Result<Heal<'_>> {
    let status = world.service.stop().await?;
    ensure!(status.success(), "the service ended with {status}");
    Ok(Box::pin(world.service.start()))
}

/// With the service away nobody else starts either of them: a mix sees to that.
async fn both_killed(world: &World) -> anyhow::Result<Heal<'_>> {
    world.service.kill()?;
    world.postgres()?.kill().await?;
    Ok(Box::pin(async {
        world.service.start().await?;
        world.postgres()?.start().await
    }))
}

async fn inbox_full(world: &World) -> anyhow::Result<Heal<'_>> {
    let (disk, begin) = (world.inbox_disk()?, Instant::now());
    disk.fill()?;
    Ok(Box::pin(async move {
        disk.empty()?;
        writable(world, true).await?;
        world.excuse_since(begin);
        Ok(())
    }))
}

async fn inbox_sync_fails(world: &World) -> anyhow::Result<Heal<'_>> {
    let begin = Instant::now();
    let mut tracer = Tracer::attach(world.service.pid()?, "")?;
    Ok(Box::pin(async move {
        tracer.detach()?;
        writable(world, true).await?;
        world.excuse_since(begin);
        Ok(())
    }))
}

async fn clock_forward(world: &World) -> anyhow::Result<Heal<'_>> {
    jumped(world, "+3600s")
}

async fn clock_back(world: &World) -> anyhow::Result<Heal<'_>> {
    jumped(world, "-86400s")
}

fn jumped<'a>(world: &'a World, by: &str) -> anyhow::Result<Heal<'a>> {
    let clock = world.clock()?;
    clock.jump(by)?;
    Ok(Box::pin(async { clock.jump("+0s") }))
}

async fn deadlocked(world: &World) -> anyhow::Result<Heal<'_>> {
    deadlock(world).await?;
    Ok(nothing())
}

/// Somebody holds what the drain takes last, waits until it waits, and asks for what it holds.
pub(crate) async fn deadlock(world: &World) -> anyhow::Result<()> {
    let mut other = world.postgres()?.admin("verbatim").await?;
    // Ours is not the one that gives way.
    run(&mut other, "SET deadlock_timeout = '1min'; BEGIN").await?;
    run(&mut other, "SELECT 1 FROM agents FOR UPDATE").await?;
    waits(world).await?;
    run(&mut other, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; COMMIT").await
}

/// The service waits for a lock.
async fn waits(world: &World) -> anyhow::Result<()> {
    let deadline = Instant::now() + TAKE_MAX;
    let waiting = "SELECT count(*) FROM pg_stat_activity
         WHERE usename = 'verbatim' AND wait_event_type = 'Lock'";
    while world.postgres()?.number(waiting).await? == 0 {
        ensure!(Instant::now() < deadline, "the drain does not meet the lock");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

async fn read_only(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.sql_in_the_end("ALTER SYSTEM SET default_transaction_read_only = on").await?;
    postgres.sql_in_the_end("SELECT pg_reload_conf()").await?;
    Ok(Box::pin(async {
        postgres.sql_in_the_end("ALTER SYSTEM RESET default_transaction_read_only").await?;
        postgres.sql_in_the_end("SELECT pg_reload_conf()").await
    }))
}

async fn table_locked(world: &World) -> anyhow::Result<Heal<'_>> {
    let mut locker = world.postgres()?.admin("verbatim").await?;
    run(&mut locker, "BEGIN").await?;
    run(&mut locker, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await?;
    Ok(Box::pin(async move {
        // The lock goes with its connection, whatever became of that.
        drop(locker);
        Ok(())
    }))
}

async fn statement_timeout(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.sql_in_the_end("ALTER ROLE verbatim SET statement_timeout = '1ms'").await?;
    postgres.sql_in_the_end(END_SESSIONS).await?;
    // Nobody ends the sessions that were opened meanwhile: the service must do so by itself.
    Ok(Box::pin(postgres.sql_in_the_end("ALTER ROLE verbatim RESET statement_timeout")))
}

/// Ends all of the service's connections.
pub(crate) const END_SESSIONS: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'verbatim'";

async fn connections_exhausted(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    let mut taken = Vec::new();
    // The service takes one back wherever it finds one, so it is sent away more than once.
    for _ in 0..3 {
        postgres.sql_in_the_end(END_SESSIONS_OF_THE_SERVICE).await?;
        taken.append(&mut take_all(postgres).await?);
    }
    ensure!(!taken.is_empty(), "there was no connection to take");
    Ok(Box::pin(async move {
        drop(taken);
        Ok(())
    }))
}

const END_SESSIONS_OF_THE_SERVICE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE usename = 'verbatim' AND application_name <> 'faults'";

/// How long that may take while another fault is on.
const TAKE_MAX: Duration = Duration::from_secs(10);

/// Takes connections until there is none.
async fn take_all(postgres: &Postgres) -> anyhow::Result<Vec<PgConnection>> {
    let deadline = Instant::now() + TAKE_MAX;
    let mut taken = Vec::new();
    loop {
        match postgres.connect("verbatim", "verbatim").await {
            Ok(connection) => taken.push(connection),
            Err(error) if format!("{error:#}").contains("remaining connection slots") => {
                return Ok(taken);
            }
            // Another fault is on.
            Err(error) => {
                ensure!(Instant::now() < deadline, "taking connections: {error:#}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn net_delay(world: &World) -> anyhow::Result<Heal<'_>> {
    network(world, Mode::Delay(Duration::from_millis(300)))
}

async fn net_cut(world: &World) -> anyhow::Result<Heal<'_>> {
    network(world, Mode::Cut)
}

async fn net_half_open(world: &World) -> anyhow::Result<Heal<'_>> {
    network(world, Mode::HalfOpen)
}

async fn net_cut_after_commit(world: &World) -> anyhow::Result<Heal<'_>> {
    let proxy = world.proxy()?;
    let before = proxy.commits_cut();
    proxy.set(Mode::CutAfterCommit);
    Ok(Box::pin(async move {
        proxy.set(Mode::Pass);
        let cut = proxy.commits_cut() - before;
        world.note(format!("{cut} connections were cut between COMMIT and its reply"));
        Ok(())
    }))
}

fn network(world: &World, mode: Mode) -> anyhow::Result<Heal<'_>> {
    let proxy = world.proxy()?;
    proxy.set(mode);
    Ok(Box::pin(async {
        proxy.set(Mode::Pass);
        Ok(())
    }))
}
