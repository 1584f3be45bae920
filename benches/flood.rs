//! Measures how a flood of wrong signatures affects good deliveries. Sends good deliveries at a
//! fixed rate, first alone and then during the flood, to the real binary with its private
//! `PostgreSQL`. All come from one address. At the end the API must count exactly the good ones.
//!
//! ```text
//! cargo bench --bench flood -- --wrong 20000 --rate 200
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
#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod service;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Parser as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use bodies::Deliveries;
use load::Connection;
use schedule::{Sent, deliver};
use service::Service;

/// Size of the flood, and rate of good deliveries
#[derive(Debug, clap::Parser)]
struct Args {
    /// Deliveries with wrong signatures
    #[arg(long, default_value_t = 20_000)]
    wrong: u32,
    /// Connections of the flood; each sends as soon as it has its answer
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    attackers: u16,
    /// Largest number of them a second [default: no limit]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    wrong_rate: Option<u32>,
    /// Good deliveries a second, on schedule whether answers come or not
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seconds of quiet before the flood
    #[arg(long, default_value_t = 10)]
    quiet_seconds: u32,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Longest flood with enough good deliveries, in seconds.
const MAX_FLOOD_SECONDS: u32 = 120;
/// Conversations of the deliveries.
const SESSIONS: u32 = 500;

/// Length of the flood, and its answers by status.
struct Flood {
    elapsed: Duration,
    by_status: BTreeMap<u16, u64>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let quiet = (args.rate * args.quiet_seconds) as usize;
    let good = quiet + (args.rate * MAX_FLOOD_SECONDS) as usize;
    let deliveries = Arc::new(Deliveries::make(good + args.wrong as usize, SESSIONS));

    let folder = tempfile::Builder::new()
        .prefix("verbatim-bench-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()?;
    let service = Service::start(folder.path())?;
    let address = service.address;

    let before = deliver(address, &deliveries, 0, quiet, args.rate, &AtomicBool::new(false))?;
    let over = AtomicBool::new(false);
    let (during, flood) = std::thread::scope(|scope| {
        let wrong = || {
            let flood = forge(address, &deliveries, good, &args);
            over.store(true, Ordering::Relaxed);
            flood
        };
        let flood = scope.spawn(wrong);
        let during = deliver(address, &deliveries, quiet, good, args.rate, &over);
        anyhow::Ok((during?, flood.join().ok().context("the flood panicked")??))
    })?;
    // Waits until the API counts exactly these.
    service.wait_until_queryable(deliveries.messages(..before.count + during.count))?;
    service.stop()?;
    print(&args, &before, &during, &flood);
    ensure!(before.not_ok + during.not_ok == 0, "good deliveries were not answered with 200");
    Ok(())
}

/// Sends the deliveries after the good ones with a signature of zeros.
fn forge(
    address: SocketAddr,
    deliveries: &Arc<Deliveries>,
    first: usize,
    args: &Args,
) -> anyhow::Result<Flood> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (next, end, rate) = (Arc::new(AtomicUsize::new(first)), deliveries.len(), args.wrong_rate);
    runtime.block_on(async {
        let start = Instant::now();
        let mut attackers = JoinSet::new();
        for _ in 0..args.attackers {
            let (deliveries, next) = (deliveries.clone(), next.clone());
            attackers.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut by_status: BTreeMap<u16, u64> = BTreeMap::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= end {
                        return anyhow::Ok(by_status);
                    }
                    if let Some(rate) = rate {
                        let due = u32::try_from(index - first)?;
                        sleep_until(start + Duration::from_secs(1) * due / rate).await;
                    }
                    let request = forged(deliveries.request(index))?;
                    *by_status.entry(connection.exchange(&request).await?).or_default() += 1;
                }
            });
        }
        let mut flood = Flood { elapsed: Duration::ZERO, by_status: BTreeMap::new() };
        while let Some(one) = attackers.join_next().await {
            for (status, count) in one?? {
                *flood.by_status.entry(status).or_default() += count;
            }
        }
        flood.elapsed = start.elapsed();
        Ok(flood)
    })
}

/// Returns the request with a signature of zeros.
fn forged(request: &[u8]) -> anyhow::Result<Vec<u8>> {
    const PREFIX: &[u8] = b"sha256=";
    let mut request = request.to_vec();
    let at = request.windows(PREFIX.len()).position(|part| part == PREFIX);
    let at = at.context("delivery without a signature")? + PREFIX.len();
    request[at..at + 64].fill(b'0');
    Ok(request)
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print(args: &Args, before: &Sent, during: &Sent, flood: &Flood) {
    let mut table = format!(
        "{} wrong signatures over {} connections in {:.2} s, {:.0} a second; answered:",
        args.wrong,
        args.attackers,
        flood.elapsed.as_secs_f64(),
        f64::from(args.wrong) / flood.elapsed.as_secs_f64(),
    );
    for (status, count) in &flood.by_status {
        let _ = write!(table, " {status} {count} times");
    }
    let _ = write!(table, "\n\n{} good ones a second{:>9}{:>8}", args.rate, "sent", "not 200");
    for column in ["p50 ms", "p90", "p99", "p99.9", "max"] {
        let _ = write!(table, "{column:>9}");
    }
    for (name, good) in [("in quiet", before), ("during the flood", during)] {
        let _ = write!(table, "\n{name:<24}{:>9}{:>8}", good.count, good.not_ok);
        for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
            let _ = write!(table, "{:>9.2}", good.millis_at(quantile));
        }
    }
    println!("{table}\n\nNothing of the flood is stored.");
}
