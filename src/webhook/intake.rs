//! From an arrival to a durable delivery: redacts, decodes and stores it. A body that takes long
//! to look through leaves the HTTP worker to others meanwhile.

use std::fmt;

use tokio::sync::Semaphore;

use super::credentials::Source;
use super::durable::{Durable, NotDurable};
use crate::decode::Received;
use crate::domain::{Arrival, Event, Unreadable};
use crate::telemetry::metrics::Seen;

/// Longest body that is redacted on the HTTP worker, in bytes. The worst one that is made for it
/// takes up to 1 µs a byte, so this is 4 ms.
const REDACT_ON_WORKER_BYTES: usize = 4 * 1024;
/// Longest body that is decoded on the HTTP worker, in bytes: about 2 ns a byte.
const DECODE_ON_WORKER_BYTES: usize = 1024 * 1024;
/// Large bodies that are looked through at once. Each takes one processor, and the workers need
/// theirs.
const MOST_AT_ONCE: usize = 2;

static AT_ONCE: Semaphore = Semaphore::const_new(MOST_AT_ONCE);

/// What became of a delivery.
pub(super) struct Intake {
    /// Its kind, for the metrics.
    pub(super) seen: Seen,
    /// Why it cannot be read, where it cannot. It is stored all the same.
    pub(super) fault: Option<Unreadable>,
    /// Whether it is stored.
    pub(super) stored: Result<(), NotStored>,
}

/// The delivery is stored nowhere.
#[derive(Debug)]
pub(super) enum NotStored {
    /// Inbox and Postgres refused it.
    Refused(NotDurable),
    /// It was not looked through: the service stops, or this failed.
    NotRead,
}

impl Intake {
    fn not_read() -> Self {
        Self { seen: Seen::Other, fault: None, stored: Err(NotStored::NotRead) }
    }
}

/// Redacts, decodes and stores a delivery. `room` is what its body takes of the room for all
/// bodies.
pub(super) async fn store(
    durable: &Durable,
    source: &Source,
    arrival: Arrival,
    room: impl Send + 'static,
) -> Intake {
    if is_quick(arrival.body.len(), source.redacts()) {
        return keep(durable, Received::from(source.redact(arrival))).await;
    }
    let (durable, source) = (durable.clone(), source.clone());
    // A task of its own goes on where the client goes away.
    let task = tokio::spawn(async move {
        let _room = room;
        match off_worker(move || Received::from(source.redact(arrival))).await {
            Some(received) => keep(&durable, received).await,
            None => Intake::not_read(),
        }
    });
    task.await.unwrap_or_else(|_| Intake::not_read())
}

/// A body of this length is looked through in a few milliseconds at most.
fn is_quick(body_bytes: usize, redacts: bool) -> bool {
    body_bytes <= if redacts { REDACT_ON_WORKER_BYTES } else { DECODE_ON_WORKER_BYTES }
}

/// Does the work on a thread that answers nobody, when it is its turn; `None` where it failed.
async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = AT_ONCE.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

async fn keep(durable: &Durable, received: Received) -> Intake {
    let seen = match received.read.as_ref().map(|delivery| &delivery.event) {
        Ok(Event::Join { .. }) => Seen::Join,
        Ok(Event::Test) => Seen::Test,
        _ => Seen::Other,
    };
    let fault = received.read.as_ref().err().cloned();
    let stored = durable.keep(received).await.map_err(NotStored::Refused);
    Intake { seen, fault, stored }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusals) => refusals.fmt(f),
            Self::NotRead => f.write_str("the task that reads a large delivery was stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn long_work_leaves_the_worker_to_others() {
        // There is one worker: what waits here waits for what it does beside.
        let (others, waits) = std::sync::mpsc::channel();
        let work = off_worker(move || waits.recv_timeout(Duration::from_secs(10)));
        let (done, ()) = tokio::join!(work, async move { others.send(()).unwrap() });
        assert_eq!(done, Some(Ok(())));
        assert_eq!(off_worker(|| panic!("a fault of ours")).await, None::<()>);
    }

    #[test]
    fn large_bodies_are_long_work() {
        assert!(is_quick(4 * 1024, true) && !is_quick(4 * 1024 + 1, true));
        assert!(is_quick(1024 * 1024, false) && !is_quick(1024 * 1024 + 1, false));
    }
}
