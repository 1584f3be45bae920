//! Sends a delivery until the service has judged it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::bail;
use indicatif::ProgressBar;
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::delivery::Delivery;
use super::lines::Line;
use crate::cli::http;
use crate::cli::sender::{Answer, Reply, Sender, TIMESTAMP};
use crate::clock::Clock;

/// Attempts after which somebody is told that it does not go on.
const TOLD_AFTER: usize = 2;
/// Longest reason of the service's that is shown, in characters.
const REASON_MAX: usize = 300;

/// What became of a line.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is safe at the service, which may have had it before.
    Taken,
    /// The service cannot read it, and says why.
    Unreadable(String),
    /// It is larger than the service takes, or than is read here.
    TooLarge(String),
    /// The run ended before the service had judged it.
    Unanswered,
}

/// What all deliveries of a run share.
#[derive(Clone)]
pub(super) struct Courier {
    pub(super) sender: Arc<Sender>,
    pub(super) url: Url,
    pub(super) clock: Clock,
    /// How long a delivery is tried.
    pub(super) patience: Duration,
    pub(super) progress: ProgressBar,
    pub(super) stop: CancellationToken,
    /// It was told that the service keeps us waiting.
    pub(super) told: Arc<AtomicBool>,
}

impl Courier {
    /// What the service says of the line. An error is one that every other line would meet, too.
    pub(super) async fn deliver(&self, line: &Line) -> anyhow::Result<Verdict> {
        let Some(bytes) = &line.bytes else {
            return Ok(Verdict::TooLarge("it is longer than --max-line".into()));
        };
        let delivery = Delivery::of(bytes);
        let since = Instant::now();
        for attempt in 0.. {
            let reply = self.attempt(&delivery).await;
            if let Some(verdict) = self.judge(&reply)? {
                return Ok(verdict);
            }
            let pause =
                http::PAUSES.get(attempt).or(http::PAUSES.last()).copied().unwrap_or_default();
            let left = self.patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                let patience = humantime::format_duration(self.patience);
                let (file, number, reason) = (&line.file, line.number, self.reason(&reply));
                bail!("{file}:{number}: given up after {patience}: {reason}");
            }
            let pause = reply.retry_after.unwrap_or(pause).min(left);
            self.tell(attempt + 1, &reply);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(Verdict::Unanswered)
    }

    /// Signs with the present time: a source may ask for one, and takes none that is old.
    async fn attempt(&self, delivery: &Delivery) -> Reply {
        let mut headers = delivery.headers.clone();
        headers.insert(TIMESTAMP, HeaderValue::from(self.clock.now().timestamp()));
        self.sender.send(delivery.body.clone(), headers).await
    }

    /// Nothing where trying again may help.
    fn judge(&self, reply: &Reply) -> anyhow::Result<Option<Verdict>> {
        let Answer::Status(status) = reply.answer else { return Ok(None) };
        let reason = || self.reason(reply);
        Ok(Some(match status {
            200 => Verdict::Taken,
            413 => Verdict::TooLarge(reason()),
            422 => Verdict::Unreadable(reason()),
            408 | 429 | 500..=599 => return Ok(None),
            401 | 403 => bail!("{} Look at --secret and --header.", reason()),
            404 | 405 => bail!("there is no webhook at {}: {}", self.url, reason()),
            _ => bail!("{} does not answer as Verbatim does: {}", self.url, reason()),
        }))
    }

    /// What the service said, or what there was instead of an answer.
    fn reason(&self, reply: &Reply) -> String {
        let detail = http::detail(&reply.body).filter(|detail| !detail.trim().is_empty());
        match (detail, reply.answer) {
            // It comes from elsewhere, and goes to a terminal.
            (Some(detail), _) => {
                detail.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()
            }
            (None, Answer::Status(status)) => format!("the answer is {status}"),
            (None, Answer::Unreachable) => format!(
                "no connection to {} (is its name right, and its certificate trusted?)",
                self.url
            ),
            (None, Answer::Refused) => format!("nobody listens at {}", self.url),
            (None, Answer::TimedOut) => "no answer in time".into(),
            (None, Answer::Lost) => "the connection broke".into(),
        }
    }

    /// Says, once a run, that the service keeps us waiting.
    fn tell(&self, attempts: usize, reply: &Reply) {
        let reason = self.reason(reply);
        if attempts >= TOLD_AFTER && !self.told.swap(true, Ordering::Relaxed) {
            let patience = humantime::format_duration(self.patience);
            super::say(
                &self.progress,
                &format!("waiting for the service, {patience} at the most: {reason}"),
            );
        }
        self.progress.set_message(format!("waiting: {reason}"));
    }
}
