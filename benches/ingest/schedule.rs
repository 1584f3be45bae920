//! Deliveries on schedule: a fixed number a second, whether answers arrive or not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::bodies::Deliveries;
use super::load::Connection;

/// Connections, used in turn.
const CONNECTIONS: usize = 20;
/// Longest latency that is recorded, in microseconds: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Deliveries that were sent, and their answers.
pub(crate) struct Sent {
    pub(crate) count: usize,
    pub(crate) not_ok: u64,
    /// Times from the moment at which each was due to its answer.
    pub(crate) latencies_us: Histogram<u64>,
}

impl Sent {
    pub(crate) fn nothing() -> anyhow::Result<Self> {
        let latencies_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?;
        Ok(Self { count: 0, not_ok: 0, latencies_us })
    }

    /// Returns a quantile of the latencies, in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
    pub(crate) fn millis_at(&self, quantile: f64) -> f64 {
        self.latencies_us.value_at_quantile(quantile) as f64 / 1e3
    }

    fn record(&mut self, answered: (Connection, u16, Duration)) -> Connection {
        let (connection, status, elapsed) = answered;
        self.not_ok += u64::from(status != 200);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(LATENCY_MAX_US);
        self.latencies_us.saturating_record(micros);
        connection
    }
}

/// Sends deliveries from `first` up to `end`, or until `over` is set.
pub(crate) fn deliver(
    address: SocketAddr,
    deliveries: &Arc<Deliveries>,
    first: usize,
    end: usize,
    rate: u32,
    over: &AtomicBool,
) -> anyhow::Result<Sent> {
    let step = Duration::from_secs(1) / rate;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(Connection::open(address).await?);
        }
        let mut sent = Sent::nothing()?;
        let (mut open, mut due) = (JoinSet::new(), Instant::now());
        while first + sent.count < end && !over.load(Ordering::Relaxed) {
            sleep_until(due).await;
            let mut connection = match idle.pop() {
                Some(connection) => connection,
                // All connections wait for answers: open a new one, as another sender would.
                None => Connection::open(address).await?,
            };
            let (all, index, began) = (deliveries.clone(), first + sent.count, due);
            open.spawn(async move {
                let status = connection.exchange(all.request(index)).await?;
                anyhow::Ok((connection, status, began.elapsed()))
            });
            sent.count += 1;
            due += step;
            while let Some(answered) = open.try_join_next() {
                idle.push(sent.record(answered??));
            }
        }
        while let Some(answered) = open.join_next().await {
            sent.record(answered??);
        }
        Ok(sent)
    })
}
