//! Measures reads on a database of millions of messages: a session's messages, an agent's sessions,
//! and searches, over HTTP to the real binary; then each once more with its plan. Before that,
//! measures exports of everything, and the memory that they need.
//!
//! ```text
//! make bench-read
//! scripts/with-postgres cargo bench --bench read -- --messages 1000000 --sessions 20000
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its results and its progress"
)]

#[path = "read/export.rs"]
mod export;
#[path = "read/figures.rs"]
mod figures;
#[path = "read/load.rs"]
mod load;
#[path = "read/measure.rs"]
mod measure;
#[path = "read/talk.rs"]
mod talk;

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

/// A key with every scope.
pub(crate) const KEY: &str = "the-benchmark-reads-with-this-key";
/// Longest time for a start of the service.
const START_MAX: Duration = Duration::from_mins(1);

/// Size of the database, and choice of the queries
#[derive(Debug, clap::Parser)]
struct Args {
    /// A Postgres on which the database is created, as a superuser
    #[arg(long, env = "TEST_DATABASE_URL")]
    database_url: String,
    /// The log file of this Postgres, for the plans
    #[arg(long, env = "BENCH_POSTGRES_LOG")]
    log: Option<std::path::PathBuf>,
    /// Messages in the database
    #[arg(long, env = "BENCH_MESSAGES", default_value_t = 5_000_000)]
    messages: u64,
    /// Sessions of the messages
    #[arg(long, env = "BENCH_SESSIONS", default_value_t = 100_000)]
    sessions: u64,
    /// Connections that query at the same time
    #[arg(long, env = "BENCH_CONNECTIONS", default_value_t = 16)]
    connections: usize,
    /// Seconds for each query
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 15)]
    seconds: u64,
    /// Only the queries whose name contains this
    #[arg(long, env = "BENCH_ONLY", default_value = "")]
    only: String,
    /// Reuses the database of a run with the same numbers
    #[arg(long)]
    loaded: bool,
    /// Reads the Parquet exports with pyarrow, which is installed under the target folder
    #[arg(long, env = "BENCH_PYARROW")]
    pyarrow: bool,
    /// Cargo passes this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Name of the database. An existing one is dropped first.
const DATABASE: &str = "verbatim_bench_read";

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let admin: PgConnectOptions = args.database_url.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let pool = runtime.block_on(async {
        if !args.loaded {
            let mut connection = sqlx::ConnectOptions::connect(&admin).await?;
            for sql in [
                format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"),
                format!("CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'"),
            ] {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            }
        }
        let options = admin.clone().database(DATABASE);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await?;
        if !args.loaded {
            verbatim::postgres::migrate(&options).await?;
            let searched = !args.only.starts_with("figures");
            load::load(&pool, args.messages, args.sessions, searched).await?;
            figures::compute_facts(&options).await?;
        }
        anyhow::Ok(pool)
    })?;
    runtime.block_on(print_sizes(&pool))?;
    let service = Service::start(&args.database_url)?;
    if args.only.is_empty() {
        export::export(service.address, service.process.id(), args.pyarrow)?;
    }
    let mut queries = runtime.block_on(measure::queries(&pool, args.sessions))?;
    queries.retain(|query| query.name().contains(&args.only));
    measure::measure(service.address, &queries, args.connections, args.seconds)?;
    let mut figures = figures::queries();
    figures.retain(|(query, _)| query.name().contains(&args.only));
    let each = figures.iter().map(|(query, _)| query);
    let medians = measure::measure(service.address, each, args.connections, args.seconds)?;
    let options = admin.clone().database(DATABASE);
    runtime.block_on(figures::compare(&options, &figures, &medians))?;
    if let Some(log) = &args.log {
        runtime.block_on(measure::explain(&pool, service.address, &queries, log))?;
    }
    Ok(())
}

async fn print_sizes(pool: &PgPool) -> anyhow::Result<()> {
    let sizes: Vec<(String, String)> = sqlx::query_as(
        "SELECT regexp_replace(relname, '_(default|\\d{4}_\\d{2})', '') AS what,
                pg_size_pretty(sum(pg_relation_size(oid)))
         FROM pg_class
         WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
         GROUP BY what
         ORDER BY sum(pg_relation_size(oid)) DESC
         LIMIT 9",
    )
    .fetch_all(pool)
    .await?;
    for (what, size) in sizes {
        println!("{size:>10}  {what}");
    }
    println!();
    Ok(())
}

/// The real binary. It is stopped when this is dropped.
struct Service {
    address: SocketAddr,
    process: Child,
    _data: tempfile::TempDir,
}

impl Service {
    fn start(admin_url: &str) -> anyhow::Result<Self> {
        let (head, query) = admin_url.split_once('?').map_or((admin_url, ""), |(h, q)| (h, q));
        let (server, _) = head.rsplit_once('/').context("the URL names no database")?;
        let data = tempfile::tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = data.path().join("log");
        let mut process = Command::new(env!("CARGO_BIN_EXE_verbatim"))
            .args(["serve", "--listen", &address.to_string(), "--data-dir"])
            .arg(data.path().join("data"))
            .env("DATABASE_URL", format!("{server}/{DATABASE}?{query}"))
            .env("VERBATIM_WEBHOOK_SECRET", "nothing is delivered")
            .env("VERBATIM_API_KEY", KEY)
            .stdout(File::create(data.path().join("banner"))?)
            .stderr(File::create(&log)?)
            .spawn()?;
        let deadline = Instant::now() + START_MAX;
        while !talk::get_once(address, "/readyz")
            .is_ok_and(|answer| answer.1.contains(r#""schema":"current""#))
        {
            if process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("the service does not start:\n{}", std::fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { address, process, _data: data })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
