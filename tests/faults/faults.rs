//! Faults that last for a while: each is set on, and later removed. Each is a scenario, and a
//! random mix draws from them.

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
/// Removes a fault. Owns what the fault needs.
pub(crate) type Heal<'a> = Work<'a, ()>;

/// Target of a fault. At most one fault of a target is on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The server's processes.
    Server,
    /// The server's settings, locks and sessions.
    Session,
    /// The network to the server.
    Network,
    /// The service.
    Service,
    /// The disk of the inbox.
    Inbox,
    /// The service's clock.
    Clock,
    /// The senders.
    Clients,
}

/// Evidence that a fault took effect. Without it the scenario fails.
#[derive(Clone, Copy, Debug)]
enum Evidence {
    /// At the end a delivery has waited in the inbox for more than this many seconds.
    InboxAge(f64),
    /// Postgres has logged this text.
    InLog(&'static str),
    /// The proxy has cut a connection between COMMIT and its reply.
    CommitsCut,
    /// None needed: the injection fails if it has no effect.
    Assumed,
}

/// A fault that lasts.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) target: Target,
    /// Duration in seconds: of the short form, and of the thorough one.
    hold: [u64; 2],
    evidence: Evidence,
    pub(crate) inject: for<'a> fn(&'a World) -> Work<'a, Heal<'a>>,
}

/// `fault!(name, target, [short, thorough], evidence, function)`.
macro_rules! fault {
    ($name:literal, $target:ident, $hold:expr, $evidence:expr, $inject:path) => {
        Fault {
            name: $name,
            target: Target::$target,
            hold: $hold,
            evidence: $evidence,
            inject: |world| Box::pin($inject(world)),
        }
    };
}

/// Age in the inbox, in seconds, that shows that Postgres could not be written to.
pub(crate) const STOPPED_AGE: f64 = 1.5;
/// For faults during which nothing reaches Postgres.
const STOPS: Evidence = Evidence::InboxAge(STOPPED_AGE);
/// A batch needs several round trips of twice the delay. In seconds, one of them exceeds every
/// other age in the inbox.
const DELAYS: Evidence = Evidence::InboxAge(0.6);
/// Limit for answers of deliveries that are due while Postgres is stopped.
const STILL_P99_MAX: Duration = Duration::from_millis(50);

/// Every fault that is a scenario.
#[rustfmt::skip]
pub(crate) const ALL: &[Fault] = &[
    fault!("postgres-stop", Server, [8, 60], STOPS, still),
    fault!("postgres-refuses", Server, [5, 30], STOPS, stopped),
    fault!("postgres-restart", Server, [1, 5], Evidence::InLog("terminating connection due to administrator command"), restarted),
    fault!("kill-postmaster", Server, [3, 10], STOPS, postmaster_killed),
    fault!("recovery", Server, [5, 20], STOPS, recovery),
    fault!("read-only", Session, [5, 20], STOPS, read_only),
    fault!("table-locked", Session, [5, 30], STOPS, table_locked),
    fault!("statement-timeout", Session, [5, 20], Evidence::InLog("canceling statement due to statement timeout"), statement_timeout),
    fault!("connections-exhausted", Session, [5, 20], STOPS, connections_exhausted),
    fault!("net-delay", Network, [5, 20], DELAYS, net_delay),
    fault!("net-cut", Network, [5, 20], STOPS, net_cut),
    fault!("net-half-open", Network, [5, 20], STOPS, net_half_open),
    fault!("net-cut-after-commit", Network, [5, 20], Evidence::CommitsCut, net_cut_after_commit),
];

/// Faults of mixes only: scenarios test the same more thoroughly.
#[rustfmt::skip]
pub(crate) const IN_MIXES: &[Fault] = &[
    fault!("postgres-disk-full", Server, [5, 20], Evidence::Assumed, cluster_full),
    fault!("deadlock", Session, [1, 1], Evidence::Assumed, deadlocked),
    fault!("service-killed", Service, [1, 1], Evidence::Assumed, service_killed),
    fault!("service-restarted", Service, [1, 1], Evidence::Assumed, service_restarted),
    fault!("kill-both", Service, [1, 1], Evidence::Assumed, both_killed),
    fault!("inbox-disk-full", Inbox, [3, 20], Evidence::Assumed, inbox_full),
    fault!("inbox-sync-fails", Inbox, [3, 20], Evidence::Assumed, inbox_sync_fails),
    fault!("clock-forward", Clock, [1, 4], Evidence::Assumed, clock_forward),
    fault!("clock-back", Clock, [1, 4], Evidence::Assumed, clock_back),
    fault!("slow-bodies", Clients, [1, 1], Evidence::Assumed, clients::some_slow_bodies),
    fault!("half-bodies", Clients, [1, 1], Evidence::Assumed, clients::some_half_bodies),
    fault!("wrong-length", Clients, [1, 1], Evidence::Assumed, clients::some_wrong_lengths),
    fault!("idle-connections", Clients, [1, 1], Evidence::Assumed, clients::some_idle_connections),
    fault!("flood", Clients, [1, 1], Evidence::Assumed, clients::lasting_flood),
];

impl Fault {
    /// Returns the fault of this name.
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        ALL.iter().find(|fault| fault.name == name).with_context(|| format!("no fault {name}"))
    }

    /// Fails if the fault had no effect. `before` is the length of Postgres' log before the fault.
    async fn check_evidence(&self, world: &World, before: usize) -> anyhow::Result<()> {
        let inbox = world.service.json("/readyz").await?["inbox"].clone();
        world.log(&format!("the inbox holds {inbox}"));
        let bites = match self.evidence {
            Evidence::InboxAge(seconds) => inbox["oldest_age_seconds"].as_f64() > Some(seconds),
            Evidence::InLog(what) => {
                world.postgres()?.log()?.get(before..).is_some_and(|log| log.contains(what))
            }
            Evidence::CommitsCut => world.proxy()?.commits_cut() > 0,
            Evidence::Assumed => true,
        };
        ensure!(bites, "the fault had no effect: expected {:?}", self.evidence);
        Ok(())
    }

    fn setup(&self) -> Setup {
        Setup {
            proxy: self.target == Target::Network,
            // Few, so that they are used up soon.
            postgres: &["max_connections=40"],
            ..Setup::default()
        }
    }
}

/// The scenario of one fault: load, the fault, some more load. No sender may notice it.
pub(crate) async fn run_scenario(trial: &Trial, name: &'static str) -> anyhow::Result<()> {
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
    fault.check_evidence(&world, before).await?;
    heal.await?;
    world.log("fault removed");
    world.calm().await;
    world.finish(load, Expect::AllAnswered).await?;
    // A debug build is several times as slow, and is not judged.
    let is_quick = cfg!(debug_assertions) || name != "postgres-stop" || p99 < STILL_P99_MAX;
    ensure!(is_quick, "p99 was {p99:?} while Postgres was stopped");
    Ok(())
}

/// For faults that end without further action.
fn no_heal<'a>() -> Heal<'a> {
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
        // Long enough for the service to reconnect, so that each restart interrupts its work.
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    Ok(no_heal())
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
        postgres.sql_with_retries(PROMOTE).await?;
        postgres.sql_with_retries("CREATE TEMPORARY TABLE writable ()").await
    }))
}

/// Can be repeated if the answer did not arrive in time.
const PROMOTE: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(true, 60) END";

async fn cluster_full(world: &World) -> anyhow::Result<Heal<'_>> {
    let disk = world.cluster_disk()?;
    disk.fill()?;
    Ok(Box::pin(async {
        disk.empty()?;
        // Postgres may have stopped.
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

/// While the service is away no other fault may start either process: a mix ensures that.
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
    jump_clock(world, "+3600s")
}

async fn clock_back(world: &World) -> anyhow::Result<Heal<'_>> {
    jump_clock(world, "-86400s")
}

fn jump_clock<'a>(world: &'a World, by: &str) -> anyhow::Result<Heal<'a>> {
    let clock = world.clock()?;
    clock.jump(by)?;
    Ok(Box::pin(async { clock.jump("+0s") }))
}

async fn deadlocked(world: &World) -> anyhow::Result<Heal<'_>> {
    deadlock(world).await?;
    Ok(no_heal())
}

/// Locks what the drain locks last, waits until the drain waits for it, and requests what the drain
/// has locked.
pub(crate) async fn deadlock(world: &World) -> anyhow::Result<()> {
    let mut other = world.postgres()?.admin("verbatim").await?;
    // A long timeout here, so that the drain is the one that is cancelled.
    run(&mut other, "SET deadlock_timeout = '1min'; BEGIN").await?;
    run(&mut other, "SELECT 1 FROM agents FOR UPDATE").await?;
    wait_for_lock(world).await?;
    run(&mut other, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE; COMMIT").await
}

/// Waits until the service waits for a lock.
async fn wait_for_lock(world: &World) -> anyhow::Result<()> {
    let deadline = Instant::now() + OPEN_ALL_MAX;
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
    postgres.sql_with_retries("ALTER SYSTEM SET default_transaction_read_only = on").await?;
    postgres.sql_with_retries("SELECT pg_reload_conf()").await?;
    Ok(Box::pin(async {
        postgres.sql_with_retries("ALTER SYSTEM RESET default_transaction_read_only").await?;
        postgres.sql_with_retries("SELECT pg_reload_conf()").await
    }))
}

async fn table_locked(world: &World) -> anyhow::Result<Heal<'_>> {
    let mut locker = world.postgres()?.admin("verbatim").await?;
    run(&mut locker, "BEGIN").await?;
    run(&mut locker, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE").await?;
    Ok(Box::pin(async move {
        // The lock ends with its connection, whatever happened to the statement.
        drop(locker);
        Ok(())
    }))
}

async fn statement_timeout(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    postgres.sql_with_retries("ALTER ROLE verbatim SET statement_timeout = '1ms'").await?;
    postgres.sql_with_retries(END_SESSIONS).await?;
    // The sessions that were opened meanwhile stay: the service must close them.
    Ok(Box::pin(postgres.sql_with_retries("ALTER ROLE verbatim RESET statement_timeout")))
}

/// Ends all of the service's connections.
pub(crate) const END_SESSIONS: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'verbatim'";

async fn connections_exhausted(world: &World) -> anyhow::Result<Heal<'_>> {
    let postgres = world.postgres()?;
    let mut connections = Vec::new();
    // The service may reopen a connection as soon as one is free, so repeat.
    for _ in 0..3 {
        postgres.sql_with_retries(END_SESSIONS_OF_THE_SERVICE).await?;
        connections.append(&mut open_all(postgres).await?);
    }
    ensure!(!connections.is_empty(), "no connection was free");
    Ok(Box::pin(async move {
        drop(connections);
        Ok(())
    }))
}

const END_SESSIONS_OF_THE_SERVICE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE usename = 'verbatim' AND application_name <> 'faults'";

/// Limit for opening all connections while another fault is on.
const OPEN_ALL_MAX: Duration = Duration::from_secs(10);

/// Opens connections until none is free.
async fn open_all(postgres: &Postgres) -> anyhow::Result<Vec<PgConnection>> {
    let deadline = Instant::now() + OPEN_ALL_MAX;
    let mut connections = Vec::new();
    loop {
        match postgres.connect("verbatim", "verbatim").await {
            Ok(connection) => connections.push(connection),
            Err(error) if format!("{error:#}").contains("remaining connection slots") => {
                return Ok(connections);
            }
            // Another fault is on.
            Err(error) => {
                ensure!(Instant::now() < deadline, "opening connections: {error:#}");
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
        world.add_note(format!("{cut} connections were cut between COMMIT and its reply"));
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
