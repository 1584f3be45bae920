//! The load: deliveries at a fixed rate over a few connections, tried again where their contract
//! says so.

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

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Deliveries a second.
    pub(crate) rate: u32,
    /// At the same time.
    pub(crate) connections: u32,
    /// Whether a connection is used again.
    pub(crate) keep_alive: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self { rate: 200, connections: 16, keep_alive: true }
    }
}

/// A load that is on.
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
                again: VecDeque::new(),
            };
            // Spread over the interval, so that they do not all send at one moment.
            let first = begin + interval * index / self.connections;
            senders.spawn(sender.run(first, interval));
        }
        Running { ledger: ledger.clone(), stop, senders }
    }
}

impl Running {
    /// Sends nothing new, and waits until the last attempt has its answer.
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
    again: VecDeque<Again>,
}

/// A further attempt.
struct Again {
    due: Instant,
    delivery: Delivery,
    attempts: usize,
}

impl Sender {
    async fn run(mut self, mut next: Instant, interval: Duration) {
        while !self.stop.is_cancelled() {
            let again = self.again.front().is_some_and(|again| again.due <= next);
            let due = if again { self.again[0].due } else { next };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let (delivery, attempts) = match self.again.pop_front().filter(|_| again) {
                Some(again) => (again.delivery, again.attempts),
                None => {
                    next += interval;
                    (self.ledger.next(), 0)
                }
            };
            let outcome = self.attempt(&delivery).await;
            self.ledger.note(&delivery, due, &outcome);
            let kept = matches!(&outcome, Ok(answer) if answer.status == 200);
            if !kept
                && delivery.content.contract.tries_again()
                && let Some(delay) = RETRY_DELAYS.get(attempts)
            {
                let due = Instant::now() + *delay;
                self.again.push_back(Again { due, delivery, attempts: attempts + 1 });
                self.again.make_contiguous().sort_by_key(|again| again.due);
            }
        }
    }

    async fn attempt(&mut self, delivery: &Delivery) -> Result<Answer, Miss> {
        let kept = self.connection.take().filter(|connection| !connection.is_closed());
        let mut connection = match kept {
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
