//! All deliveries that were sent, and their answers. The oracle compares the database with them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::delivery::{Content, Delivery, Maker, Sha};
use super::http::{Answer, Miss};

/// A delivery that has been sent at least once.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) content: Content,
    /// At least one attempt was answered 200.
    pub(crate) answered: bool,
}

/// Figures about the deliveries of one trial.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Attempts that were answered 200.
    pub(crate) answered: u64,
    /// Answers other than 200, by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Attempts without an answer, by cause.
    pub(crate) misses: BTreeMap<Miss, u64>,
    /// Longest time without a 200 during load.
    pub(crate) longest_stall: Duration,
    /// Time from the moment at which an attempt was due to its 200.
    pub(crate) latencies_us: Option<Histogram<u64>>,
    /// Failed attempts: when each was due, and when it had failed.
    pub(crate) failed: Vec<(Instant, Instant)>,
}

impl Figures {
    /// Number of failed attempts.
    pub(crate) fn refused(&self) -> u64 {
        self.statuses.values().chain(self.misses.values()).sum()
    }

    /// Returns a quantile of the time to an answer.
    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        let micros = self.latencies_us.as_ref().map_or(0, |all| all.value_at_quantile(quantile));
        Duration::from_micros(micros)
    }
}

/// The ledger. All senders share it.
#[derive(Debug)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    maker: Maker,
    entries: HashMap<Sha, Entry>,
    figures: Figures,
    /// Time of the last 200, during load.
    last_answer: Option<Instant>,
    latencies_us: Histogram<u64>,
    /// Latencies of attempts that were due since this moment.
    measured: Option<(Instant, Histogram<u64>)>,
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> anyhow::Result<Self> {
        let inner = Inner {
            maker: Maker::new(seed),
            entries: HashMap::new(),
            figures: Figures::default(),
            last_answer: None,
            latencies_us: Histogram::new_with_bounds(1, 60_000_000, 3)?,
            measured: None,
        };
        Ok(Self { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a new delivery, and records it as sent.
    pub(crate) fn next(&self) -> Delivery {
        let mut inner = self.lock();
        let delivery = inner.maker.next();
        inner.record_sent(&delivery);
        delivery
    }

    /// Returns a signed delivery that must never be stored. It is not recorded as sent.
    pub(crate) fn next_forbidden(&self) -> Delivery {
        self.lock().maker.next_signed()
    }

    /// Records the outcome of an attempt that was due at `due`. After a 200 the service must have
    /// it.
    pub(crate) fn record(&self, delivery: &Delivery, due: Instant, outcome: &Result<Answer, Miss>) {
        let now = Instant::now();
        let mut inner = self.lock();
        match outcome {
            Ok(answer) if answer.status == 200 => {
                inner.figures.answered += 1;
                let micros = u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX);
                inner.latencies_us.saturating_record(micros);
                if let Some((_, latencies)) = inner.measured.as_mut().filter(|it| it.0 <= due) {
                    latencies.saturating_record(micros);
                }
                inner.record_stall(now);
                if let Some(entry) = inner.entries.get_mut(&delivery.sha) {
                    entry.answered = true;
                }
            }
            Ok(answer) => {
                *inner.figures.statuses.entry(answer.status).or_default() += 1;
                inner.figures.failed.push((due, now));
            }
            Err(miss) => {
                *inner.figures.misses.entry(*miss).or_default() += 1;
                inner.figures.failed.push((due, now));
            }
        }
    }

    /// Starts a second record of latencies.
    pub(crate) fn measure(&self) {
        let mut inner = self.lock();
        let mut latencies = inner.latencies_us.clone();
        latencies.reset();
        inner.measured = Some((Instant::now(), latencies));
    }

    /// Returns the number of latencies in the second record, and a quantile of them.
    pub(crate) fn measured(&self, quantile: f64) -> (u64, Duration) {
        self.lock().measured.as_ref().map_or((0, Duration::ZERO), |(_, latencies)| {
            let micros = latencies.value_at_quantile(quantile);
            (latencies.len(), Duration::from_micros(micros))
        })
    }

    /// Records a 200 for a delivery outside the load.
    pub(crate) fn record_answered(&self, delivery: &Delivery) {
        let mut inner = self.lock();
        inner.figures.answered += 1;
        if let Some(entry) = inner.entries.get_mut(&delivery.sha) {
            entry.answered = true;
        }
    }

    /// Begins the load: from now on a time without answers is a stall.
    pub(crate) fn load_begins(&self) {
        self.lock().last_answer = Some(Instant::now());
    }

    /// Ends the load.
    pub(crate) fn load_ends(&self) {
        let mut inner = self.lock();
        inner.record_stall(Instant::now());
        inner.last_answer = None;
    }

    /// Returns the figures so far.
    pub(crate) fn figures(&self) -> Figures {
        let inner = self.lock();
        Figures { latencies_us: Some(inner.latencies_us.clone()), ..inner.figures.clone() }
    }

    /// Returns every delivery that was sent.
    pub(crate) fn entries(&self) -> HashMap<Sha, Entry> {
        self.lock().entries.clone()
    }
}

impl Inner {
    fn record_sent(&mut self, delivery: &Delivery) {
        let entry = Entry { content: delivery.content.clone(), answered: false };
        self.entries.insert(delivery.sha, entry);
    }

    fn record_stall(&mut self, now: Instant) {
        if let Some(last) = self.last_answer.replace(now) {
            self.figures.longest_stall = self.figures.longest_stall.max(now - last);
        } else {
            self.last_answer = None;
        }
    }
}
