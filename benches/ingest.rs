//! Measures ingest: signed deliveries over HTTP to the real binary with its private `PostgreSQL`,
//! and then the same rows written by the drain's SQL alone.
//!
//! ```text
//! cargo bench --bench ingest -- --deliveries 200000 --connections 64 --sessions 5000
//! ```

#[path = "ingest/bare.rs"]
mod bare;
#[path = "ingest/bodies.rs"]
mod bodies;
#[path = "ingest/load.rs"]
mod load;
#[path = "ingest/service.rs"]
#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod service;

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Parser as _;
use indicatif::HumanCount;
use tempfile::TempDir;

use bodies::Deliveries;
use load::Answers;
use service::Service;

/// Number of deliveries, sessions and connections
#[derive(Debug, clap::Parser)]
struct Args {
    /// Deliveries that are measured
    #[arg(long, env = "BENCH_DELIVERIES", default_value_t = 200_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    deliveries: u32,
    /// Deliveries before those, which are not measured
    #[arg(long, env = "BENCH_WARM_UP", default_value_t = 5_000)]
    warm_up: u32,
    /// Conversations of the deliveries
    #[arg(long, env = "BENCH_SESSIONS", default_value_t = 5_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    sessions: u32,
    /// Keep-alive connections
    #[arg(long, env = "BENCH_CONNECTIONS", default_value_t = 64,
          value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Folder for data, on the disk that is to be measured [default: the system's folder for
    /// temporary files]
    #[arg(long, env = "BENCH_FOLDER")]
    folder: Option<PathBuf>,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Results over HTTP.
struct Served {
    answers: Answers,
    /// From the first request until the API showed everything.
    queryable: Duration,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let warm_up = args.warm_up as usize;
    let deliveries = Deliveries::make(warm_up + args.deliveries as usize, args.sessions);
    let deliveries = Arc::new(deliveries);

    let folder = data_folder(&args)?;
    let served = serve(&args, &folder, &deliveries)?;
    drop(folder);
    let folder = data_folder(&args)?;
    let bare = bare::write(folder.path(), &deliveries, warm_up)?;
    print(&args, &served, bare);
    Ok(())
}

/// Creates a folder that the private server's account can enter.
fn data_folder(args: &Args) -> anyhow::Result<TempDir> {
    let mut folder = tempfile::Builder::new();
    folder.prefix("verbatim-bench-").permissions(Permissions::from_mode(0o711));
    Ok(match &args.folder {
        Some(parent) => folder.tempdir_in(parent)?,
        None => folder.tempdir()?,
    })
}

/// Sends all deliveries to a new service.
fn serve(args: &Args, folder: &TempDir, deliveries: &Arc<Deliveries>) -> anyhow::Result<Served> {
    let service = Service::start(folder.path())?;
    let (warm_up, all) = (args.warm_up as usize, deliveries.len());
    let connections = usize::from(args.connections);
    load::deliver(service.address, deliveries, 0..warm_up, connections)?;
    service.wait_until_queryable(deliveries.messages(..warm_up))?;

    let start = Instant::now();
    let answers = load::deliver(service.address, deliveries, warm_up..all, connections)?;
    service.wait_until_queryable(deliveries.messages(..))?;
    let queryable = start.elapsed();
    service.stop()?;
    ensure!(answers.not_ok == 0, "{} deliveries were not answered with 200", answers.not_ok);
    Ok(Served { answers, queryable })
}

#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn print(args: &Args, served: &Served, bare: Duration) {
    let mut table = format!(
        "{} deliveries over {} sessions and {} connections, after {} to warm up\n\n{:<16}{:>12}\
         {:>16}{:>20}\n",
        HumanCount(args.deliveries.into()),
        HumanCount(args.sessions.into()),
        args.connections,
        HumanCount(args.warm_up.into()),
        "",
        "seconds",
        "deliveries/s",
        "of bare Postgres"
    );
    let times = [
        ("answered", served.answers.elapsed),
        ("queryable", served.queryable),
        ("bare Postgres", bare),
    ];
    for (name, elapsed) in times {
        let seconds = elapsed.as_secs_f64();
        let rate = f64::from(args.deliveries) / seconds;
        let share = 100.0 * bare.as_secs_f64() / seconds;
        let _ = writeln!(table, "{name:<16}{seconds:>12.2}{rate:>16.0}{share:>18.0} %");
    }
    let _ = write!(table, "\n{:<16}", "");
    for column in ["p50", "p90", "p99", "p99.9", "max"] {
        let _ = write!(table, "{column:>10}");
    }
    let _ = write!(table, "\n{:<16}", "answer in ms");
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        #[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
        let millis = served.answers.latencies_us.value_at_quantile(quantile) as f64 / 1e3;
        let _ = write!(table, "{millis:>10.2}");
    }
    println!("{table}");
}
