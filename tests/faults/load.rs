//! The load: deliveries at a fixed rate over a few connections, with the retries of their contract.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;
use super::http::{Answer, Connection, Miss};
use super::ledger::Ledger;

/// Waits before each further attempt. The sender's are 1 s, 5 s and 30 s; these are shorter, so
/// that more of them fall into a fault.
const RETRY_DELAYS: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// Default number of senders.
pub(crate) const SENDERS: u32 = 16;

/// Rate and connections of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Deliveries a second.
    pub(crate) rate: u32,
    /// Number of senders at the same time.
    pub(crate) connections: u32,
    /// Reuses connections.
    pub(crate) keep_alive: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: 200, connections: SENDERS, keep_alive: true }
    }
}

/// A load that runs.
#[derive(Debug)]
pub(crate) struct Running {
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    senders: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(self, to: SocketAddr, ledger: &Arc<Ledger>) -> Running {
        ledger.load_begins();
        let stop = CancellationToken::new();
        let mut senders = JoinSet::new();
        let begin = Instant::now();
        for index in 0..self.connections {
            let interval = Duration::from_secs(1) * self.connections / self.rate;
            let sender = Sender {
                to,
                ledger: ledger.clone(),
                stop: stop.clone(),
                keep_alive: self.keep_alive,
                connection: None,
                retries: VecDeque::new(),
            };
            // Spread over the interval, so that the senders do not all send at once.
            let first = begin + interval * index / self.connections;
            senders.spawn(sender.run(first, interval));
        }
        Running { ledger: ledger.clone(), stop, senders }
    }
}

impl Running {
    /// Stops new deliveries, and waits until the last attempt has its answer.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.senders.join_next().await.is_some() {}
        self.ledger.load_ends();
    }
}

struct Sender {
    to: SocketAddr,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    keep_alive: bool,
    connection: Option<Connection>,
    retries: VecDeque<Retry>,
}

/// A retry.
struct Retry {
    due: Instant,
    delivery: Delivery,
    attempts: usize,
}

impl Sender {
    async fn run(mut self, mut next: Instant, interval: Duration) {
        while !self.stop.is_cancelled() {
            let retry = self.retries.front().is_some_and(|retry| retry.due <= next);
            let due = if retry { self.retries[0].due } else { next };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let (delivery, attempts) = match self.retries.pop_front().filter(|_| retry) {
                Some(retry) => (retry.delivery, retry.attempts),
                None => {
                    next += interval;
                    (self.ledger.next(), 0)
                }
            };
            let outcome = self.attempt(&delivery).await;
            self.ledger.record(&delivery, due, &outcome);
            let accepted = matches!(&outcome, Ok(answer) if answer.status == 200);
            if !accepted
                && delivery.content.contract.retries()
                && let Some(delay) = RETRY_DELAYS.get(attempts)
            {
                let due = Instant::now() + *delay;
                self.retries.push_back(Retry { due, delivery, attempts: attempts + 1 });
                self.retries.make_contiguous().sort_by_key(|retry| retry.due);
            }
        }
    }

    async fn attempt(&mut self, delivery: &Delivery) -> Result<Answer, Miss> {
        let reusable = self.connection.take().filter(|connection| !connection.is_closed());
        let mut connection = match reusable {
            Some(connection) => connection,
            None => Connection::open(self.to).await?,
        };
        let answer = connection.exchange(&delivery.request()).await?;
        if self.keep_alive && !answer.closes {
            self.connection = Some(connection);
        }
        Ok(answer)
    }
}
