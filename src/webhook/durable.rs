//! Durable somewhere: a delivery is answered once the inbox *or* Postgres has it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Ack;
use crate::decode::Received;
use crate::drain::direct::{Direct, NotWritten};
use crate::inbox::{Inbox, Refused};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::InboxMetrics;

/// How long the inbox may take before Postgres is asked. A commit takes under a millisecond; a
/// disk that hangs for this long may hang for longer than the sender waits, which is 10 s.
const INBOX_PATIENCE: Duration = Duration::from_secs(3);

/// Where deliveries are made durable. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Durable {
    inbox: Inbox,
    direct: Direct,
    first: Ack,
    metrics: Arc<Metrics>,
}

/// Most characters of each reason that are logged with a delivery that is durable nowhere: there
/// may be thousands of such lines.
const REASON_CHARS: usize = 300;

/// Both refused.
#[derive(Debug)]
pub struct NotDurable {
    inbox: InboxRefusal,
    postgres: NotWritten,
}

#[derive(Debug)]
enum InboxRefusal {
    /// With what is wrong with the file, where that is the reason.
    Refused(Refused, Option<Arc<str>>),
    TooSlow,
}

impl InboxRefusal {
    fn count(&self, metrics: &InboxMetrics) {
        let counter = match self {
            Self::Refused(Refused::QueueFull, _) => &metrics.queue_full,
            Self::Refused(Refused::QuotaReached, _) => &metrics.quota_reached,
            Self::Refused(Refused::Failing, _) => &metrics.failing,
            // The service stops: nothing to watch.
            Self::Refused(Refused::Closed, _) => return,
            Self::TooSlow => &metrics.too_slow,
        };
        counter.increment(1);
    }
}

impl Durable {
    /// Asks the one that `first` names, and the other one where it refuses.
    #[must_use]
    pub fn new(inbox: Inbox, direct: Direct, first: Ack, metrics: Arc<Metrics>) -> Self {
        Self { inbox, direct, first, metrics }
    }

    /// Returns once the delivery is safe. It is handed over before the first await, so that a
    /// client that goes away does not take it along.
    pub async fn keep(&self, received: Received) -> Result<(), NotDurable> {
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
                let kept = self.to_inbox(received).await;
                kept.map_err(|inbox| NotDurable { inbox, postgres })
            }
        }
    }

    async fn to_inbox(&self, received: Arc<Received>) -> Result<(), InboxRefusal> {
        let durable = self.inbox.submit(received);
        let outcome = match tokio::time::timeout(INBOX_PATIENCE, durable).await {
            Ok(Ok(outcome)) => outcome.map_err(|refused| {
                let failing = refused == Refused::Failing;
                InboxRefusal::Refused(refused, failing.then(|| self.inbox.trouble()).flatten())
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
            InboxRefusal::Refused(refused, Some(trouble)) => {
                write!(f, "{refused}: {trouble:.REASON_CHARS$}")?;
            }
            InboxRefusal::TooSlow => write!(f, "the inbox's disk does not answer")?,
        }
        let postgres = self.postgres.to_string();
        write!(f, "; {postgres:.REASON_CHARS$}")
    }
}
