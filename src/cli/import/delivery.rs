//! A line → the request that it becomes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// The sender's id of a delivery, the same on every attempt.
const DELIVERY_ID: HeaderName = HeaderName::from_static("x-bithuman-delivery");
/// Says that the delivery is a test.
const TEST: HeaderName = HeaderName::from_static("x-test-webhook");

/// A delivery as it is posted.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) body: Bytes,
    /// What told something of it, beside its credentials.
    pub(super) headers: HeaderMap,
}

/// What `GET /v1/deliveries/{id}` gives, as far as it counts here.
#[derive(Deserialize)]
struct Logged {
    body_base64: String,
    size_bytes: usize,
    sender_delivery_id: Option<String>,
    test: bool,
}

impl Delivery {
    /// A line is the body, to the byte. The one exception is what our own log of deliveries gives,
    /// which holds the body, and the sender's id that its repeats are known by.
    pub(super) fn of(line: &Bytes) -> Self {
        Self::logged(line).unwrap_or_else(|| Self { body: line.clone(), headers: HeaderMap::new() })
    }

    fn logged(line: &[u8]) -> Option<Self> {
        let logged: Logged = serde_json::from_slice(line).ok()?;
        let body = STANDARD.decode(logged.body_base64).ok()?;
        if body.len() != logged.size_bytes {
            return None;
        }
        let mut headers = HeaderMap::new();
        if let Some(id) = logged.sender_delivery_id {
            headers.insert(DELIVERY_ID, HeaderValue::try_from(id).ok()?);
        }
        if logged.test {
            headers.insert(TEST, HeaderValue::from_static("true"));
        }
        Some(Self { body: body.into(), headers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_body_unless_it_is_of_our_log() {
        for line in ["{\"event_type\" : \"ping\"}", "{", "\u{1}", "{\"body_base64\":\"e30=\"}"] {
            let delivery = Delivery::of(&Bytes::from(line));
            assert_eq!((&delivery.body[..], delivery.headers.len()), (line.as_bytes(), 0));
        }
        let logged = |size: usize, id: &str| {
            let line = format!(
                r#"{{"id":"…","outcome":"stored","size_bytes":{size},"sender_delivery_id":{id},
                    "test":true,"body_base64":"e30=","body":"{{}}"}}"#
            );
            Delivery::of(&Bytes::from(line))
        };
        let delivery = logged(2, "\"dlv-1\"");
        assert_eq!(&delivery.body[..], b"{}");
        assert_eq!(delivery.headers[DELIVERY_ID], "dlv-1");
        assert_eq!(delivery.headers[TEST], "true");
        assert_eq!(logged(2, "null").headers.len(), 1);
        assert_ne!(&logged(3, "null").body[..], b"{}", "it is not what it says");
    }
}
