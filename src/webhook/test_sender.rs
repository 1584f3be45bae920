//! Test deliveries: sent to the service's listener like the sender's, with the credentials of a
//! source. So they fail the same checks as the sender's deliveries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rustls::crypto::ring;
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::config::SourceSettings;
use crate::domain::SourceName;

const SIGNATURE: HeaderName = HeaderName::from_static("x-bithuman-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-bithuman-timestamp");
const DELIVERY_ID: HeaderName = HeaderName::from_static("x-bithuman-delivery");
const TEST: HeaderName = HeaderName::from_static("x-test-webhook");

/// Longest wait for an answer, equal to the sender's.
const DEADLINE: Duration = Duration::from_secs(10);
/// Most concurrent test deliveries.
const AT_ONCE: usize = 2;
/// Longest part of an answer that is read, in bytes.
const ANSWER_BYTES: usize = 16 << 10;
/// Agent in the sender's test delivery.
const AGENT: &str = "test_agent_123";

/// Kind of a test delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestEvent {
    /// Test of the dashboard.
    Test,
    /// `room.join`.
    Join,
    /// `chat.push`.
    Message,
}

/// Answer to a test delivery.
#[derive(Clone, Debug)]
pub struct Sent {
    /// `X-BitHuman-Delivery` of the delivery.
    pub delivery_id: String,
    /// Status of the answer; `None` without an answer.
    pub status: Option<u16>,
    /// Body of the answer as text, or its beginning.
    pub body: String,
    /// Reason why there is no answer.
    pub error: Option<&'static str>,
    /// Time until the answer was complete.
    pub took: Duration,
}

/// Sends test deliveries. Cheap to clone.
#[derive(Clone)]
pub struct TestSender {
    /// Sources by name, with their secrets.
    sources: Arc<HashMap<SourceName, SourceSettings>>,
    client: reqwest::Client,
    /// Scheme, address and port of the service's listener.
    base: Arc<str>,
    room: Arc<Semaphore>,
}

impl TestSender {
    /// Creates a sender to the listener on `address`.
    pub fn new(
        sources: &[SourceSettings],
        address: SocketAddr,
        has_tls: bool,
    ) -> anyhow::Result<Self> {
        // Fails if a provider is installed already, which is then used.
        let _ = ring::default_provider().install_default();
        let client = reqwest::ClientBuilder::new()
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(DEADLINE)
            // A new connection each time, like the sender's after idle time.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("verbatim/", env!("CARGO_PKG_VERSION")))
            // The listener is addressed by its IP address, which its certificate does not name.
            .tls_danger_accept_invalid_certs(true)
            .build()
            .context("cannot create the client for test deliveries")?;
        let scheme = if has_tls { "https" } else { "http" };
        let named = |source: &SourceSettings| (source.name.clone(), source.clone());
        Ok(Self {
            sources: Arc::new(sources.iter().map(named).collect()),
            client,
            base: format!("{scheme}://{}", reachable(address)).into(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Returns a source's settings.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&SourceSettings> {
        self.sources.get(&SourceName::parse(name).ok()?)
    }

    /// Returns all sources by name, the default one first.
    #[must_use]
    pub fn sources(&self) -> Vec<&SourceSettings> {
        let mut sources: Vec<_> = self.sources.values().collect();
        let is_further = |name: &SourceName| name.as_str() != SourceName::DEFAULT;
        sources.sort_unstable_by_key(|source| (is_further(&source.name), source.name.clone()));
        sources
    }

    /// Sends a test delivery. `is_test` marks it as a test, so that it is excluded from
    /// conversations and figures.
    pub async fn send(
        &self,
        source: &SourceSettings,
        event: TestEvent,
        is_test: bool,
        now: DateTime<Utc>,
    ) -> Sent {
        let delivery_id = Uuid::new_v4().to_string();
        let body = body(event, &delivery_id, now);
        let headers = headers(source, &body, &delivery_id, is_test, now);
        let url = format!("{}{}", self.base, path(&source.name));
        let _turn = self.room.acquire().await;
        let started = Instant::now();
        let request = self.client.post(url).headers(headers).body(body);
        let answer = async {
            let mut response = request.send().await?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                body.extend_from_slice(&chunk);
                if body.len() > ANSWER_BYTES {
                    break;
                }
            }
            Ok::<_, reqwest::Error>((response.status().as_u16(), body))
        };
        let answer = answer.await;
        let took = started.elapsed();
        let (status, body, error) = match answer {
            Ok((status, body)) => (Some(status), String::from_utf8_lossy(&body).into_owned(), None),
            Err(error) if error.is_timeout() => {
                (None, String::new(), Some("no answer within 10 s, the sender's timeout"))
            }
            Err(error) if error.is_connect() => {
                (None, String::new(), Some("cannot connect to the service's listener"))
            }
            Err(_) => {
                (None, String::new(), Some("the connection closed before the answer was complete"))
            }
        };
        Sent { delivery_id, status, body, error, took }
    }
}

/// Returns the path of a source's webhook.
#[must_use]
pub fn path(source: &SourceName) -> String {
    match source.as_str() {
        SourceName::DEFAULT => "/webhook".into(),
        name => format!("/webhook/{name}"),
    }
}

/// Returns the address to connect to a listener from this machine: its address, or the loopback
/// address for a listener on all addresses.
#[must_use]
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Returns a body in the sender's newest format. The ID makes each delivery a different event.
fn body(event: TestEvent, id: &str, now: DateTime<Utc>) -> String {
    let time = format!("{}.{:06}", now.timestamp(), now.timestamp_subsec_micros());
    let (event_type, data) = match event {
        TestEvent::Test => ("test", r#""message": "webhook test""#.to_owned()),
        TestEvent::Join => (
            "room.join",
            format!(r#""room_name": "test", "participant_count": 1, "session_id": "test-{id}""#),
        ),
        TestEvent::Message => (
            "chat.push",
            format!(
                r#""role": "user", "message": "A test message.", "session_id": "test-{id}", "timestamp": {time}"#
            ),
        ),
    };
    format!(
        r#"{{"agent_id": "{AGENT}", "event_type": "{event_type}", "data": {{{data}}}, "timestamp": {time}}}"#
    )
}

fn headers(
    source: &SourceSettings,
    body: &str,
    delivery_id: &str,
    is_test: bool,
    now: DateTime<Utc>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(delivery_id) {
        headers.insert(DELIVERY_ID, id);
    }
    if is_test {
        headers.insert(TEST, HeaderValue::from_static("true"));
    }
    for required in &source.headers {
        let name = HeaderName::try_from(required.name.as_str());
        let value = HeaderValue::try_from(required.value.expose_secret());
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(true);
            // If a name may have several values, the first one is sent.
            headers.entry(name).or_insert(value);
        }
    }
    if let Some(secret) = source.secrets.first() {
        let timestamp = source.strict_timestamps.then(|| now.timestamp().to_string());
        let signature = signature(secret.expose_secret(), timestamp.as_deref(), body);
        if let Some(timestamp) = timestamp.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(TIMESTAMP, timestamp);
        }
        if let Ok(signature) = HeaderValue::try_from(signature) {
            headers.insert(SIGNATURE, signature);
        }
    }
    headers
}

/// Returns `sha256=<hex>` over the body, or over the time and the body.
fn signature(secret: &str, timestamp: Option<&str>, body: &str) -> String {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    if let Some(timestamp) = timestamp {
        mac.update(timestamp.as_bytes());
        mac.update(b".");
    }
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::config::RequiredHeader;
    use crate::redact::Redaction;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_micros(1_790_607_253_000_007).unwrap()
    }

    #[test]
    fn body_is_a_readable_delivery() {
        for event in [TestEvent::Test, TestEvent::Join, TestEvent::Message] {
            let body = body(event, "x", now());
            let read: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(read["agent_id"], AGENT);
            assert!(body.ends_with(r#""timestamp": 1790607253.000007}"#), "{body}");
        }
    }

    #[test]
    fn listener_on_all_addresses_is_reached_by_loopback() {
        for (listens, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:443", "[::1]:443"),
            ("10.0.0.7:8080", "10.0.0.7:8080"),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn every_credential_of_the_source_is_sent() {
        let header = |name: &str, value: &str| RequiredHeader {
            name: name.into(),
            value: SecretString::from(value),
        };
        let source = SourceSettings {
            name: SourceName::default(),
            secrets: vec![SecretString::from("Jefe"), SecretString::from("old")],
            headers: vec![header("x-a", "new"), header("x-a", "old"), header("authorization", "b")],
            strict_timestamps: true,
            redaction: Redaction::default(),
        };
        let sent = headers(&source, "body", "id", true, now());
        let text = |name: &str| sent.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text("x-a").as_deref(), Some("new"), "the first of several");
        assert_eq!(text("authorization").as_deref(), Some("b"));
        assert_eq!(text("x-bithuman-timestamp").as_deref(), Some("1790607253"));
        let signed = signature("Jefe", Some("1790607253"), "body");
        assert_eq!(text("x-bithuman-signature"), Some(signed));
        assert_eq!(text("x-test-webhook").as_deref(), Some("true"));
        let plain =
            headers(&SourceSettings { strict_timestamps: false, ..source }, "b", "i", false, now());
        assert!(
            plain.get("x-bithuman-timestamp").is_none() && plain.get("x-test-webhook").is_none()
        );
    }
}
