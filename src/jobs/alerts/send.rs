//! Signs and sends notifications, and schedules retries.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use rustls::{ClientConfig, RootCertStore, crypto};
use uuid::Uuid;

use crate::alerts::signatures;
use crate::config::Receiver;
use crate::store::alerts::Progress;

/// Longest wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Longest wait for the head of an answer, the connection included.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);
/// Waits after failed attempts, in seconds; the last one repeats.
const WAITS_S: [i64; 7] = [10, 30, 60, 300, 900, 1_800, 3_600];
/// Longest wait that a receiver can request, in seconds.
const MAX_WAIT_S: i64 = 3_600;
/// Age after which no attempt is made.
pub const GIVE_UP_AFTER: TimeDelta = TimeDelta::days(3);
/// Status of a receiver that wants no more notifications: 410 Gone.
const GONE: u16 = 410;

/// HTTP client for notifications.
#[derive(Clone, Debug)]
pub struct Client {
    plain: reqwest::Client,
    /// Client for HTTPS; `None` if no receiver needs it.
    secure: Option<reqwest::Client>,
    /// Longest wait for the head of an answer, the connection included.
    deadline: Duration,
}

/// Notification to send.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// ID, the same for each attempt.
    pub id: Uuid,
    /// Time of the attempt.
    pub at: DateTime<Utc>,
    /// Body.
    pub body: &'a str,
}

/// Reason for a failed attempt. Its text does not contain the receiver's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The receiver answered with an error status.
    #[error("the receiver answered {status}")]
    Status {
        /// Status.
        status: u16,
        /// Wait that it requests, in seconds.
        retry_after_s: Option<i64>,
    },
    /// No answer in time.
    #[error("no answer in time")]
    TimedOut,
    /// The connection failed.
    #[error("no connection: {0}")]
    NoConnection(String),
}

impl Client {
    /// Creates a client for these receivers. It follows no redirects and uses no proxy.
    pub fn new<'a>(receivers: impl IntoIterator<Item = &'a Receiver>) -> anyhow::Result<Self> {
        let builder = || {
            reqwest::ClientBuilder::new()
                .http1_only()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_DEADLINE)
                .user_agent(concat!("verbatim/", env!("CARGO_PKG_VERSION")))
        };
        let secure = if receivers.into_iter().any(|receiver| receiver.url.scheme() == "https") {
            // Fails if there is a provider already, which is then used.
            let _ = crypto::ring::default_provider().install_default();
            let made = builder().build();
            Some(made.context("cannot set up HTTPS to the receivers of alerts")?)
        } else {
            None
        };
        // Plain HTTP needs no certificates, and the system may have none.
        let tls = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let plain = builder().tls_backend_preconfigured(tls).build();
        let plain = plain.context("cannot set up HTTP to the receivers of alerts")?;
        Ok(Self { plain, secure, deadline: ANSWER_DEADLINE })
    }

    /// Returns the client with another limit for answers.
    #[must_use]
    pub fn answered_within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Signs a notification and posts it once; returns the status.
    pub async fn send(&self, receiver: &Receiver, outgoing: Outgoing<'_>) -> Result<u16, NotSent> {
        let (id, timestamp) = (outgoing.id.to_string(), outgoing.at.timestamp());
        let signature = signatures(&receiver.keys, &id, timestamp, outgoing.body);
        let secure = self.secure.as_ref().filter(|_| receiver.url.scheme() == "https");
        let request = secure
            .unwrap_or(&self.plain)
            .post(receiver.url.clone())
            .timeout(self.deadline)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(outgoing.body.to_owned());
        // The answer's body is not read: dropping the answer closes the connection.
        let response = request.send().await.map_err(|error| {
            if error.is_timeout() {
                return NotSent::TimedOut;
            }
            let error = anyhow::Error::new(error.without_url());
            NotSent::NoConnection(format!("{error:#}"))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(status.as_u16());
        }
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        Err(NotSent::Status { status: status.as_u16(), retry_after_s })
    }
}

/// Returns the progress of a notification after its attempt number `attempts`.
pub(super) fn progress(
    outcome: &Result<u16, NotSent>,
    attempts: i32,
    created_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Progress {
    let Err(error) = outcome else {
        return Progress { attempts, delivered_at: Some(now), ..Progress::default() };
    };
    let place = usize::try_from(attempts).unwrap_or_default().saturating_sub(1);
    let wait = WAITS_S[place.min(WAITS_S.len() - 1)];
    let (wait, is_gone) = match error {
        NotSent::Status { status: GONE, .. } => (wait, true),
        NotSent::Status { retry_after_s: Some(requested), .. } => {
            (wait.max((*requested).min(MAX_WAIT_S)), false)
        }
        _ => (wait, false),
    };
    let next = now + TimeDelta::seconds(wait);
    let give_up = is_gone || next - created_at > GIVE_UP_AFTER;
    Progress {
        attempts,
        next_attempt_at: (!give_up).then_some(next),
        delivered_at: None,
        given_up_at: give_up.then_some(now),
        last_error: Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(status: u16, retry_after_s: Option<i64>) -> Result<u16, NotSent> {
        Err(NotSent::Status { status, retry_after_s })
    }

    #[test]
    fn waits_grow_to_an_hour_and_end_after_three_days() {
        let created = DateTime::UNIX_EPOCH;
        let (mut now, mut attempts, mut waits) = (created, 0, Vec::new());
        loop {
            attempts += 1;
            let progress = progress(&failed(500, None), attempts, created, now);
            assert_eq!(progress.last_error.as_deref(), Some("the receiver answered 500"));
            let Some(next) = progress.next_attempt_at else {
                assert_eq!(progress.given_up_at, Some(now));
                break;
            };
            assert_eq!(progress.given_up_at, None);
            waits.push((next - now).num_seconds());
            now = next;
        }
        assert_eq!(waits[..8], [10, 30, 60, 300, 900, 1_800, 3_600, 3_600]);
        assert_eq!((now - created).num_days(), 2, "the next hour would be past three days");
        assert_eq!(attempts, 78);
    }

    #[test]
    fn receiver_can_request_a_longer_wait_or_no_retry() {
        let now = DateTime::UNIX_EPOCH;
        let next = |outcome| progress(&outcome, 1, now, now).next_attempt_at;
        assert_eq!(next(failed(429, Some(120))), Some(now + TimeDelta::seconds(120)));
        assert_eq!(next(failed(503, Some(1))), Some(now + TimeDelta::seconds(10)));
        assert_eq!(next(failed(503, Some(86_400))), Some(now + TimeDelta::hours(1)));
        assert_eq!(next(failed(503, Some(-5))), Some(now + TimeDelta::seconds(10)));
        assert_eq!(next(failed(301, None)), Some(now + TimeDelta::seconds(10)));
        assert_eq!(next(Err(NotSent::TimedOut)), Some(now + TimeDelta::seconds(10)));
        let gone = progress(&failed(410, None), 1, now, now);
        assert_eq!((gone.next_attempt_at, gone.given_up_at), (None, Some(now)));
        let delivered = progress(&Ok(204), 3, now, now);
        assert_eq!((delivered.delivered_at, delivered.attempts), (Some(now), 3));
    }
}
