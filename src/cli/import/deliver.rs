//! Delivery of one line, with retries until the service has answered.

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
use super::progress;
use crate::cli::http;
use crate::cli::sender::{Answer, Reply, Sender, TIMESTAMP};
use crate::clock::Clock;

/// Attempts after which the wait is reported.
const REPORT_AFTER: usize = 2;
/// Limit on a printed reason, in characters.
const REASON_MAX: usize = 300;

/// Outcome of a line.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Stored by the service, now or earlier.
    Accepted,
    /// Unreadable for the service, with its reason.
    Unreadable(String),
    /// Longer than the service's limit or `--max-line`.
    TooLarge(String),
    /// The run ended before an answer.
    Unanswered,
}

/// State that all deliveries of a run share.
#[derive(Clone)]
pub(super) struct Deliverer {
    pub(super) sender: Arc<Sender>,
    pub(super) url: Url,
    pub(super) clock: Clock,
    /// Time for which a delivery is retried.
    pub(super) patience: Duration,
    pub(super) progress: ProgressBar,
    pub(super) stop: CancellationToken,
    /// True if the wait was reported.
    pub(super) has_reported: Arc<AtomicBool>,
}

impl Deliverer {
    /// Sends a line and returns its outcome. An error would affect every other line, too.
    pub(super) async fn deliver(&self, line: &Line) -> anyhow::Result<Outcome> {
        let Some(bytes) = &line.bytes else {
            return Ok(Outcome::TooLarge("longer than --max-line".into()));
        };
        let delivery = Delivery::of(bytes);
        let since = Instant::now();
        for attempt in 0.. {
            let reply = self.attempt(&delivery).await;
            if let Some(outcome) = self.outcome(&reply)? {
                return Ok(outcome);
            }
            let pause =
                http::PAUSES.get(attempt).or(http::PAUSES.last()).copied().unwrap_or_default();
            let left = self.patience.saturating_sub(since.elapsed());
            if left.is_zero() {
                let patience = humantime::format_duration(self.patience);
                let (file, number, reason) = (&line.file, line.number, self.reason(&reply));
                bail!("{file}:{number}: not delivered within {patience}: {reason}");
            }
            let pause = reply.retry_after.unwrap_or(pause).min(left);
            self.report_wait(attempt + 1, &reply);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(Outcome::Unanswered)
    }

    /// Sends once. Signs with the present time: a source may require a recent timestamp.
    async fn attempt(&self, delivery: &Delivery) -> Reply {
        let mut headers = delivery.headers.clone();
        headers.insert(TIMESTAMP, HeaderValue::from(self.clock.now().timestamp()));
        self.sender.send(delivery.body.clone(), headers).await
    }

    /// Returns the outcome of an answer; `None` if a retry may help.
    fn outcome(&self, reply: &Reply) -> anyhow::Result<Option<Outcome>> {
        let Answer::Status(status) = reply.answer else { return Ok(None) };
        let reason = || self.reason(reply);
        Ok(Some(match status {
            200 => Outcome::Accepted,
            413 => Outcome::TooLarge(reason()),
            422 => Outcome::Unreadable(reason()),
            408 | 429 | 500..=599 => return Ok(None),
            401 | 403 => bail!("{} Check --secret and --header.", reason()),
            404 | 405 => bail!("no webhook at {}: {}", self.url, reason()),
            _ => bail!("{} does not answer as Verbatim does: {}", self.url, reason()),
        }))
    }

    /// Describes the answer, or its absence.
    fn reason(&self, reply: &Reply) -> String {
        let detail = http::detail(&reply.body).filter(|detail| !detail.trim().is_empty());
        match (detail, reply.answer) {
            // The text of another program goes to a terminal: remove escape sequences.
            (Some(detail), _) => {
                detail.chars().filter(|c| !c.is_control()).take(REASON_MAX).collect()
            }
            (None, Answer::Status(status)) => format!("status {status}"),
            (None, Answer::Unreachable) => {
                format!("cannot connect to {}: check the host name and --ca-file", self.url)
            }
            (None, Answer::Refused) => {
                format!("connection refused: nothing listens at {}", self.url)
            }
            (None, Answer::TimedOut) => "no answer in time".into(),
            (None, Answer::Lost) => "connection lost".into(),
        }
    }

    /// Reports a wait for the service: in the progress bar, and once per run as a line.
    fn report_wait(&self, attempts: usize, reply: &Reply) {
        let reason = self.reason(reply);
        if attempts >= REPORT_AFTER && !self.has_reported.swap(true, Ordering::Relaxed) {
            let patience = humantime::format_duration(self.patience);
            progress::report(
                &self.progress,
                &format!("waiting for the service, at most {patience}: {reason}"),
            );
        }
        self.progress.set_message(format!("waiting: {reason}"));
    }
}
