//! Measures the way out, on a database of millions of messages: a session's messages, an agent's
//! sessions, and searches, over HTTP to the real binary; then each once more with its plan. Before
//! that, everything as a file, and the memory that it takes.
//!
//! ```text
//! make bench-read
//! scripts/with-postgres cargo bench --bench read -- --messages 1000000 --sessions 20000
//! ```

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured, and where it is"
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
/// How long the service may take to start.
const START_MAX: Duration = Duration::from_mins(1);

/// What is measured.
#[derive(Debug, clap::Parser)]
struct Args {
    /// A Postgres to make a database on, as a superuser
    #[arg(long, env = "TEST_DATABASE_URL")]
    database_url: String,
    /// The file that this Postgres logs to, for the plans
    #[arg(long, env = "BENCH_POSTGRES_LOG")]
    log: Option<std::path::PathBuf>,
    /// Messages in the database
    #[arg(long, env = "BENCH_MESSAGES", default_value_t = 5_000_000)]
    messages: u64,
    /// Sessions that they belong to
    #[arg(long, env = "BENCH_SESSIONS", default_value_t = 100_000)]
    sessions: u64,
    /// Connections that ask at once
    #[arg(long, env = "BENCH_CONNECTIONS", default_value_t = 16)]
    connections: usize,
    /// How long each question is asked
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 15)]
    seconds: u64,
    /// Only the questions whose name holds this
    #[arg(long, env = "BENCH_ONLY", default_value = "")]
    only: String,
    /// The database is there from the run before, whose numbers were the same
    #[arg(long)]
    loaded: bool,
    /// The exports are read with pyarrow, which is installed under the target folder
    #[arg(long, env = "BENCH_PYARROW")]
    pyarrow: bool,
    /// Cargo says this to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// The database that is made; one of that name is dropped first.
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
    let mut questions = runtime.block_on(measure::questions(&pool, args.sessions))?;
    questions.retain(|question| question.name().contains(&args.only));
    measure::measure(service.address, &questions, args.connections, args.seconds)?;
    let mut asked = figures::questions();
    asked.retain(|(question, _)| question.name().contains(&args.only));
    let each = asked.iter().map(|(question, _)| question);
    let medians = measure::measure(service.address, each, args.connections, args.seconds)?;
    let options = admin.clone().database(DATABASE);
    runtime.block_on(figures::compare(&options, &asked, &medians))?;
    if let Some(log) = &args.log {
        runtime.block_on(measure::explain(&pool, service.address, &questions, log))?;
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

/// The real binary, stopped when this goes.
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
        while !talk::ask_once(address, "/readyz")
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
