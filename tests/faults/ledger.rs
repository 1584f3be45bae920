//! What was sent, and what was answered: the truth that the database is held against.

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
    /// One of the attempts was answered 200.
    pub(crate) answered: bool,
}

/// Figures of one trial's deliveries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Attempts that were answered 200.
    pub(crate) answered: u64,
    /// Answers other than 200, by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Attempts without an answer, by cause.
    pub(crate) misses: BTreeMap<Miss, u64>,
    /// Longest time without any 200 while load was on.
    pub(crate) longest_stall: Duration,
    /// From the moment that an attempt was due to its 200.
    pub(crate) latencies_us: Option<Histogram<u64>>,
    /// When the attempts that came to nothing were due, and when that was known.
    pub(crate) in_vain: Vec<(Instant, Instant)>,
}

impl Figures {
    /// Attempts that came to nothing.
    pub(crate) fn refused(&self) -> u64 {
        self.statuses.values().chain(self.misses.values()).sum()
    }

    /// A quantile of the answers' time.
    pub(crate) fn latency(&self, quantile: f64) -> Duration {
        let micros = self.latencies_us.as_ref().map_or(0, |all| all.value_at_quantile(quantile));
        Duration::from_micros(micros)
    }
}

/// Shared by all who send.
#[derive(Debug)]
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    maker: Maker,
    entries: HashMap<Sha, Entry>,
    figures: Figures,
    /// When the last 200 came, while load is on.
    last_answer: Option<Instant>,
    latencies_us: Histogram<u64>,
    /// The same of what was due since then.
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

    /// A new delivery, which counts as sent from now on.
    pub(crate) fn next(&self) -> Delivery {
        let mut inner = self.lock();
        let delivery = inner.maker.next();
        inner.note_sent(&delivery);
        delivery
    }

    /// A signed delivery that must never be stored: it does not count as sent.
    pub(crate) fn next_forbidden(&self) -> Delivery {
        self.lock().maker.next_signed()
    }

    /// What an attempt came to that was due at `due`. A 200 makes it the service's to keep.
    pub(crate) fn note(&self, delivery: &Delivery, due: Instant, outcome: &Result<Answer, Miss>) {
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
                inner.note_stall(now);
                if let Some(entry) = inner.entries.get_mut(&delivery.sha) {
                    entry.answered = true;
                }
            }
            Ok(answer) => {
                *inner.figures.statuses.entry(answer.status).or_default() += 1;
                inner.figures.in_vain.push((due, now));
            }
            Err(miss) => {
                *inner.figures.misses.entry(*miss).or_default() += 1;
                inner.figures.in_vain.push((due, now));
            }
        }
    }

    /// From now on the answers' times are counted apart, too.
    pub(crate) fn measure(&self) {
        let mut inner = self.lock();
        let mut latencies = inner.latencies_us.clone();
        latencies.reset();
        inner.measured = Some((Instant::now(), latencies));
    }

    /// How many were counted since then, and a quantile of their time.
    pub(crate) fn measured(&self, quantile: f64) -> (u64, Duration) {
        self.lock().measured.as_ref().map_or((0, Duration::ZERO), |(_, latencies)| {
            let micros = latencies.value_at_quantile(quantile);
            (latencies.len(), Duration::from_micros(micros))
        })
    }

    /// A delivery that is no part of the load was answered 200.
    pub(crate) fn note_answered(&self, delivery: &Delivery) {
        let mut inner = self.lock();
        inner.figures.answered += 1;
        if let Some(entry) = inner.entries.get_mut(&delivery.sha) {
            entry.answered = true;
        }
    }

    /// Load begins: from now on a time without answers is a stall.
    pub(crate) fn load_begins(&self) {
        self.lock().last_answer = Some(Instant::now());
    }

    /// Load ends.
    pub(crate) fn load_ends(&self) {
        let mut inner = self.lock();
        inner.note_stall(Instant::now());
        inner.last_answer = None;
    }

    /// The figures so far.
    pub(crate) fn figures(&self) -> Figures {
        let inner = self.lock();
        Figures { latencies_us: Some(inner.latencies_us.clone()), ..inner.figures.clone() }
    }

    /// Everything that was sent.
    pub(crate) fn entries(&self) -> HashMap<Sha, Entry> {
        self.lock().entries.clone()
    }
}

impl Inner {
    fn note_sent(&mut self, delivery: &Delivery) {
        let entry = Entry { content: delivery.content.clone(), answered: false };
        self.entries.insert(delivery.sha, entry);
    }

    fn note_stall(&mut self, now: Instant) {
        if let Some(last) = self.last_answer.replace(now) {
            self.figures.longest_stall = self.figures.longest_stall.max(now - last);
        } else {
            self.last_answer = None;
        }
    }
}
