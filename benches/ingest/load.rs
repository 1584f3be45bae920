//! A cheap load generator: one thread, raw HTTP/1.1, and enough parsing to find the end of an
//! answer.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::bodies::Deliveries;

/// Longest latency that is recorded, in microseconds: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 1 << 20;

/// Times and statuses of the answers.
#[derive(Debug)]
pub(crate) struct Answers {
    /// Time from the first request to the last answer.
    pub(crate) elapsed: Duration,
    pub(crate) latencies_us: Histogram<u64>,
    /// Answers that were not 200.
    pub(crate) not_ok: u64,
}

impl Answers {
    fn none() -> anyhow::Result<Self> {
        let latencies_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?;
        Ok(Self { elapsed: Duration::ZERO, latencies_us, not_ok: 0 })
    }
}

/// Sends the deliveries in `range`. Each connection sends the next one as soon as it has its
/// answer.
pub(crate) fn deliver(
    address: SocketAddr,
    deliveries: &Arc<Deliveries>,
    range: Range<usize>,
    connections: usize,
) -> anyhow::Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let next = Arc::new(AtomicUsize::new(range.start));
        let start = Instant::now();
        let mut senders = JoinSet::new();
        for connection in open {
            senders.spawn(send(connection, deliveries.clone(), next.clone(), range.end));
        }
        let mut all = Answers::none()?;
        while let Some(one) = senders.join_next().await {
            let one = one??;
            all.latencies_us.add(&one.latencies_us)?;
            all.not_ok += one.not_ok;
        }
        all.elapsed = start.elapsed();
        Ok(all)
    })
}

async fn send(
    mut connection: Connection,
    deliveries: Arc<Deliveries>,
    next: Arc<AtomicUsize>,
    end: usize,
) -> anyhow::Result<Answers> {
    let mut answers = Answers::none()?;
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= end {
            return Ok(answers);
        }
        let sent = Instant::now();
        let status = connection.exchange(deliveries.request(index)).await?;
        let micros = u64::try_from(sent.elapsed().as_micros()).unwrap_or(LATENCY_MAX_US);
        answers.latencies_us.saturating_record(micros);
        answers.not_ok += u64::from(status != 200);
    }
}

/// One keep-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The answer that is being read, or the last one.
    answer: Vec<u8>,
    /// Offset of its body.
    body: usize,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(4_096), body: 0 })
    }

    /// Sends a request, reads its answer, and returns the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let mut expected = None;
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the service closed a connection");
            ensure!(self.answer.len() <= ANSWER_MAX, "an answer is too long");
            if expected.is_none() {
                expected = self.head()?;
            }
            if let Some((status, length)) = expected
                && self.answer.len() >= length
            {
                return Ok(status);
            }
        }
    }

    /// Returns the body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        &self.answer[self.body..]
    }

    /// Returns status and total length of the answer, once its head is complete.
    fn head(&mut self) -> anyhow::Result<Option<(u16, usize)>> {
        let Some(end) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&self.answer[..end])?;
        let status = head.get(9..12).context("answer without a status")?.parse()?;
        self.body = end + 4;
        for line in head.lines() {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                return Ok(Some((status, self.body + value.trim().parse::<usize>()?)));
            }
        }
        bail!("answer without a length")
    }
}
