//! Redacts, decodes and stores an arrival. Large bodies are processed off the HTTP worker.

use std::fmt;

use tokio::sync::Semaphore;

use super::credentials::Source;
use super::durable::{Durable, NotDurable};
use crate::decode::Received;
use crate::domain::{Arrival, Event, Unreadable};
use crate::telemetry::metrics::EventKind;

/// Longest body that is redacted on the HTTP worker, in bytes: at most 4 ms, since the worst
/// crafted body takes 1 µs a byte.
const REDACT_ON_WORKER_BYTES: usize = 4 * 1024;
/// Longest body that is decoded on the HTTP worker, in bytes: about 2 ns a byte.
const DECODE_ON_WORKER_BYTES: usize = 1024 * 1024;
/// Most large bodies that are processed at once. Each uses one processor, and the HTTP workers need
/// the others.
const MAX_AT_ONCE: usize = 2;

static AT_ONCE: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// Outcome of a delivery.
pub(super) struct Intake {
    /// Kind of the event, for the metrics.
    pub(super) kind: EventKind,
    /// Fault that prevents decoding. The delivery is stored all the same.
    pub(super) fault: Option<Unreadable>,
    /// Result of storing it.
    pub(super) stored: Result<(), NotStored>,
}

/// Reason why a delivery is not stored.
#[derive(Debug)]
pub(super) enum NotStored {
    /// The inbox and Postgres refused it.
    Refused(NotDurable),
    /// Its processing failed, or the service is stopping.
    NotRead,
}

impl Intake {
    fn not_read() -> Self {
        Self { kind: EventKind::Other, fault: None, stored: Err(NotStored::NotRead) }
    }
}

/// Redacts, decodes and stores a delivery. `room` is its body's part of the budget of all bodies,
/// kept until the delivery is stored.
pub(super) async fn store(
    durable: &Durable,
    source: &Source,
    arrival: Arrival,
    room: impl Send + 'static,
) -> Intake {
    if is_quick(arrival.body.len(), source.redacts()) {
        return store_received(durable, Received::from(source.redact(arrival))).await;
    }
    let (durable, source) = (durable.clone(), source.clone());
    // A separate task continues if the client disconnects.
    let task = tokio::spawn(async move {
        let _room = room;
        match off_worker(move || Received::from(source.redact(arrival))).await {
            Some(received) => store_received(&durable, received).await,
            None => Intake::not_read(),
        }
    });
    task.await.unwrap_or_else(|_| Intake::not_read())
}

/// Returns true if a body of this length is processed within a few milliseconds.
fn is_quick(body_bytes: usize, redacts: bool) -> bool {
    body_bytes <= if redacts { REDACT_ON_WORKER_BYTES } else { DECODE_ON_WORKER_BYTES }
}

/// Runs work on a blocking thread, at most [`MAX_AT_ONCE`] at a time; `None` if it failed.
async fn off_worker<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let _turn = AT_ONCE.acquire().await.ok()?;
    tokio::task::spawn_blocking(work).await.ok()
}

async fn store_received(durable: &Durable, received: Received) -> Intake {
    let kind = match received.read.as_ref().map(|delivery| &delivery.event) {
        Ok(Event::Join { .. }) => EventKind::Join,
        Ok(Event::Test) => EventKind::Test,
        _ => EventKind::Other,
    };
    let fault = received.read.as_ref().err().cloned();
    let stored = durable.store(received).await.map_err(NotStored::Refused);
    Intake { kind, fault, stored }
}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusals) => refusals.fmt(f),
            Self::NotRead => f.write_str("the processing of a large delivery was stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn long_work_does_not_block_the_worker() {
        // There is one worker, and the work ends only when the worker runs the other future.
        let (others, waits) = std::sync::mpsc::channel();
        let work = off_worker(move || waits.recv_timeout(Duration::from_secs(10)));
        let (done, ()) = tokio::join!(work, async move { others.send(()).unwrap() });
        assert_eq!(done, Some(Ok(())));
        assert_eq!(off_worker(|| panic!("internal fault")).await, None::<()>);
    }

    #[test]
    fn large_bodies_are_not_quick() {
        assert!(is_quick(4 * 1024, true) && !is_quick(4 * 1024 + 1, true));
        assert!(is_quick(1024 * 1024, false) && !is_quick(1024 * 1024 + 1, false));
    }
}
