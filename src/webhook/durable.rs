//! Durable storage of a delivery in the inbox *or* in Postgres, before its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Ack;
use crate::decode::Received;
use crate::drain::direct::{Direct, NotWritten};
use crate::inbox::{Inbox, Refused};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::InboxMetrics;

/// Longest wait for the inbox before the write to Postgres. A commit takes under a millisecond; a
/// disk that hangs this long may hang longer than the 10 s that the sender waits.
const INBOX_PATIENCE: Duration = Duration::from_secs(3);

/// Makes deliveries durable. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Durable {
    inbox: Inbox,
    direct: Direct,
    first: Ack,
    metrics: Arc<Metrics>,
}

/// Most characters of each reason in the log line of a delivery that is not durable: there may be
/// thousands of such lines.
const REASON_CHARS: usize = 300;

/// The inbox and Postgres both refused a delivery.
#[derive(Debug)]
pub struct NotDurable {
    inbox: InboxRefusal,
    postgres: NotWritten,
}

#[derive(Debug)]
enum InboxRefusal {
    /// The inbox refused; with the file's last error if that is the reason.
    Refused(Refused, Option<Arc<str>>),
    TooSlow,
}

impl InboxRefusal {
    fn count(&self, metrics: &InboxMetrics) {
        let counter = match self {
            Self::Refused(Refused::QueueFull, _) => &metrics.queue_full,
            Self::Refused(Refused::QuotaReached, _) => &metrics.quota_reached,
            Self::Refused(Refused::Failing, _) => &metrics.failing,
            // The service is stopping, which is no fault.
            Self::Refused(Refused::Closed, _) => return,
            Self::TooSlow => &metrics.too_slow,
        };
        counter.increment(1);
    }
}

impl Durable {
    /// Creates a writer that uses `first`, and the other one if that refuses.
    #[must_use]
    pub fn new(inbox: Inbox, direct: Direct, first: Ack, metrics: Arc<Metrics>) -> Self {
        Self { inbox, direct, first, metrics }
    }

    /// Stores a delivery, and returns when it is durable. The delivery is queued before the first
    /// await, so it is stored even if the client disconnects.
    pub async fn store(&self, received: Received) -> Result<(), NotDurable> {
        let received = Arc::new(received);
        match self.first {
            Ack::Inbox => {
                let inbox = match self.to_inbox(received.clone()).await {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusal,
                };
                let written = self.direct.write(received).await;
                written.map_err(|postgres| NotDurable { inbox, postgres })
            }
            Ack::Postgres => {
                let postgres = match self.direct.write(received.clone()).await {
                    Ok(()) => return Ok(()),
                    Err(refusal) => refusal,
                };
                let stored = self.to_inbox(received).await;
                stored.map_err(|inbox| NotDurable { inbox, postgres })
            }
        }
    }

    async fn to_inbox(&self, received: Arc<Received>) -> Result<(), InboxRefusal> {
        let durable = self.inbox.submit(received);
        let outcome = match tokio::time::timeout(INBOX_PATIENCE, durable).await {
            Ok(Ok(outcome)) => outcome.map_err(|refused| {
                let failing = refused == Refused::Failing;
                InboxRefusal::Refused(refused, failing.then(|| self.inbox.last_error()).flatten())
            }),
            Ok(Err(_)) => Err(InboxRefusal::Refused(Refused::Closed, None)),
            Err(_) => Err(InboxRefusal::TooSlow),
        };
        outcome.inspect_err(|refusal| refusal.count(&self.metrics.inbox))
    }
}

impl fmt::Display for NotDurable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inbox {
            InboxRefusal::Refused(refused, None) => write!(f, "{refused}")?,
            InboxRefusal::Refused(refused, Some(error)) => {
                write!(f, "{refused}: {error:.REASON_CHARS$}")?;
            }
            InboxRefusal::TooSlow => write!(f, "the inbox's disk does not respond")?,
        }
        let postgres = self.postgres.to_string();
        write!(f, "; {postgres:.REASON_CHARS$}")
    }
}
