//! Conversion of a line to a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

/// The sender's ID of a delivery, the same on every attempt.
const DELIVERY_ID: HeaderName = HeaderName::from_static("x-bithuman-delivery");
/// Marks a test.
const TEST: HeaderName = HeaderName::from_static("x-test-webhook");

/// Delivery to post.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) body: Bytes,
    /// Headers that describe the delivery, without credentials.
    pub(super) headers: HeaderMap,
}

/// Required fields of the JSON of `GET /v1/deliveries/{id}`.
#[derive(Deserialize)]
struct Logged {
    body_base64: String,
    size_bytes: usize,
    sender_delivery_id: Option<String>,
    test: bool,
}

impl Delivery {
    /// Returns the delivery of a line. The line is the body, byte by byte, unless it is from our
    /// log of deliveries: then it contains the body, and the sender's ID, which identifies
    /// duplicates.
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
    fn line_is_the_body_unless_it_is_from_the_log() {
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
        assert_ne!(&logged(3, "null").body[..], b"{}", "the size is wrong");
    }
}
