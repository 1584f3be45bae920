//! Measures how a working `PostgreSQL` affects the time of an answer. Sends deliveries on schedule
//! to the real binary with its private `PostgreSQL`, alternately with the server's processes
//! running and stopped (SIGSTOP). Prints the largest lags of the drain and of search while they
//! ran.
//!
//! ```text
//! cargo bench --bench answer -- --rate 1000 --seconds 10 --rounds 3
//! ```

#[path = "ingest/bodies.rs"]
#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod bodies;
#[path = "ingest/load.rs"]
#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod load;
#[path = "ingest/schedule.rs"]
mod schedule;
#[path = "ingest/service.rs"]
mod service;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use bodies::Deliveries;
use schedule::{Sent, deliver};
use service::Service;

/// Rate, length and number of turns
#[derive(Debug, clap::Parser)]
struct Args {
    /// Deliveries a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seconds of each turn
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Turns with the server running, and as many with it stopped
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Conversations of the deliveries.
const SESSIONS: u32 = 2_000;
/// Pause between two requests for the ages.
const AGE_INTERVAL: Duration = Duration::from_millis(100);
/// Longest time until deliveries from a time with a stopped server are stored and found.
const CATCH_UP_MAX: Duration = Duration::from_mins(2);

/// Largest ages in seconds of what is not yet stored, found and counted.
#[derive(Clone, Copy, Debug, Default)]
struct AgeLimits {
    inbox: f64,
    search: f64,
    figures: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let turn = (args.rate * args.seconds) as usize;
    let turns = 2 * args.rounds as usize;
    // The first deliveries are the warm-up.
    let deliveries = Arc::new(Deliveries::make(turn * (turns + 1), SESSIONS));
    let folder = tempfile::Builder::new()
        .prefix("verbatim-bench-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()?;
    let service = Service::start(folder.path())?;
    let run_turn = |number: usize| {
        let first = turn * number;
        let never = AtomicBool::new(false);
        deliver(service.address, &deliveries, first, first + turn, args.rate, &never)
    };
    run_turn(0)?;
    let (mut at_work, mut stopped) = (Sent::nothing()?, Sent::nothing()?);
    let mut ages = AgeLimits::default();
    for number in 1..=turns {
        if number % 2 == 1 {
            catch_up(&service)?;
            let over = AtomicBool::new(false);
            let sent = std::thread::scope(|scope| {
                scope.spawn(|| watch_ages(&service, &mut ages, &over));
                let sent = run_turn(number);
                over.store(true, Ordering::Relaxed);
                sent
            });
            at_work.add(sent?)?;
        } else {
            let server = descendants(service.id())?;
            signal(&server, Signal::SIGSTOP);
            let sent = run_turn(number);
            signal(&server, Signal::SIGCONT);
            stopped.add(sent?)?;
        }
    }
    service.wait_until_queryable(deliveries.messages(..turn * (turns + 1)))?;
    service.stop()?;
    print(&args, &at_work, &stopped, ages);
    ensure!(at_work.not_ok + stopped.not_ok == 0, "deliveries were not answered with 200");
    Ok(())
}

impl Sent {
    fn add(&mut self, other: Self) -> anyhow::Result<()> {
        self.count += other.count;
        self.not_ok += other.not_ok;
        self.latencies_us.add(other.latencies_us)?;
        Ok(())
    }
}

/// Returns the present ages.
fn ages(service: &Service) -> anyhow::Result<AgeLimits> {
    let ready = service.get("/readyz")?;
    let seconds = |part: &str, name: &str| ready[part][name].as_f64().unwrap_or(0.0);
    Ok(AgeLimits {
        inbox: seconds("inbox", "oldest_age_seconds"),
        search: seconds("search", "lag_seconds"),
        figures: seconds("figures", "lag_seconds"),
    })
}

/// Records the largest ages until it is `over`.
fn watch_ages(service: &Service, largest: &mut AgeLimits, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if let Ok(now) = ages(service) {
            largest.inbox = largest.inbox.max(now.inbox);
            largest.search = largest.search.max(now.search);
            largest.figures = largest.figures.max(now.figures);
        }
        std::thread::sleep(AGE_INTERVAL);
    }
}

/// Waits until everything is stored, found and counted.
fn catch_up(service: &Service) -> anyhow::Result<()> {
    let deadline = Instant::now() + CATCH_UP_MAX;
    loop {
        let now = ages(service)?;
        if now.inbox + now.search + now.figures == 0.0 {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the service does not catch up: {now:?}");
        std::thread::sleep(AGE_INTERVAL);
    }
}

/// Returns all processes below one: the server and its backends.
fn descendants(of: u32) -> anyhow::Result<Vec<Pid>> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // A process that ended meanwhile has no file.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let id = entry.file_name().to_string_lossy().parse::<i32>();
        // State and parent follow the name, which may contain anything.
        let parent: Option<i32> =
            stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
        if let (Ok(id), Some(parent)) = (id, parent) {
            parents.push((id, parent));
        }
    }
    let mut found: Vec<i32> = vec![i32::try_from(of)?];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    Ok(found.into_iter().skip(1).map(Pid::from_raw).collect())
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // A process that has ended needs no signal.
        let _ = kill(*process, signal);
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print(args: &Args, at_work: &Sent, stopped: &Sent, ages: AgeLimits) {
    println!("| {} a second | sent | p50 ms | p90 | p99 | p99.9 |", args.rate);
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, sent) in [("PostgreSQL at work", at_work), ("PostgreSQL stopped", stopped)] {
        print!("| {name} | {} |", sent.count);
        for quantile in [0.5, 0.9, 0.99, 0.999] {
            print!(" {:.2} |", sent.millis_at(quantile));
        }
        println!();
    }
    println!("\np99: {:.2} times", at_work.millis_at(0.99) / stopped.millis_at(0.99));
    let AgeLimits { inbox, search, figures } = ages;
    println!("largest lag in s: stored {inbox:.2}, found {search:.2}, counted {figures:.2}");
}
