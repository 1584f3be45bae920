//! The upper limit for ingest: the same rows, decoded beforehand and written by the drain's SQL to
//! the same kind of private `PostgreSQL`.

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::runtime::Runtime;
use verbatim::clock::Clock;
use verbatim::config::DatabaseSettings;
use verbatim::decode::Received;
use verbatim::domain::{Arrival, DeliveryId, Evidence, SourceName};
use verbatim::jobs::partitions;
use verbatim::postgres::{self, Database};
use verbatim::store::ingest::{self, Row};

use super::bodies::Deliveries;

/// Connections that write: as many as the drain has.
const WRITERS: usize = verbatim::server::DRAIN_WORKERS;
/// Deliveries in a transaction: as many as the drain writes when it is behind.
const BATCH: usize = verbatim::drain::worker::BATCH.deliveries;

/// Writes all deliveries, and returns the time for those after the warm-up.
pub(crate) fn write(
    folder: &Path,
    deliveries: &Deliveries,
    warm_up: usize,
) -> anyhow::Result<Duration> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let settings = DatabaseSettings {
        data_dir: folder.join("data"),
        url: None,
        read_url: None,
        postgres_listen: None,
    };
    let database = runtime.block_on(open(&settings))?;
    let options = database.connect_options();

    let arrivals = arrivals(deliveries);
    let rows: Vec<Row<'_>> = arrivals.iter().map(Row::from).collect();
    write_rows(&options, &rows[..warm_up])?;
    let elapsed = write_rows(&options, &rows[warm_up..])?;

    let messages = runtime.block_on(count(&options))?;
    runtime.block_on(database.stop())?;
    let expected = deliveries.messages(..);
    ensure!(messages == expected, "{messages} of {expected} messages were written");
    Ok(elapsed)
}

async fn open(settings: &DatabaseSettings) -> anyhow::Result<Database> {
    let database = Database::open(settings).await?;
    database.wait_ready().await?;
    let options = database.connect_options();
    postgres::migrate(&options).await?;
    let pool = postgres::read_pool(options);
    partitions::run_once(&pool, Clock::system().now()).await?;
    pool.close().await;
    Ok(database)
}

/// Returns the deliveries as the inbox would contain them.
fn arrivals(deliveries: &Deliveries) -> Vec<Received> {
    let received_at = Clock::system().now();
    let arrival = |index| Arrival {
        id: DeliveryId::new(received_at),
        received_at,
        source: SourceName::default(),
        evidence: Evidence { signed: true, ..Evidence::default() },
        body: Bytes::copy_from_slice(deliveries.body(index)),
    };
    (0..deliveries.len()).map(arrival).map(Received::from).collect()
}

/// Writes the rows in batches, and returns the time from the first to the last commit.
fn write_rows(options: &PgConnectOptions, rows: &[Row<'_>]) -> anyhow::Result<Duration> {
    let batches: Vec<&[Row<'_>]> = rows.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    // All connections are open before the first writer begins.
    let begin = Barrier::new(WRITERS + 1);
    std::thread::scope(|scope| {
        let work = || {
            let connected = connect(options);
            begin.wait();
            let (runtime, mut connection) = connected?;
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                runtime.block_on(ingest::write(&mut connection, batch))?;
            }
            anyhow::Ok((runtime, connection))
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(work)).collect();
        begin.wait();
        let start = Instant::now();
        let mut done = Vec::with_capacity(WRITERS);
        for writer in writers {
            done.push(writer.join().ok().context("a writer panicked")??);
        }
        let elapsed = start.elapsed();
        for (runtime, connection) in done {
            runtime.block_on(connection.close())?;
        }
        Ok(elapsed)
    })
}

fn connect(options: &PgConnectOptions) -> anyhow::Result<(Runtime, PgConnection)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = options.clone().disable_statement_logging();
    let connection = runtime.block_on(options.connect())?;
    Ok((runtime, connection))
}

async fn count(options: &PgConnectOptions) -> anyhow::Result<usize> {
    let mut connection = options.connect().await?;
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(count.try_into()?)
}
