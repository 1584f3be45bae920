//! Adapts requests and answers to proxies: a forwarded `Upgrade`, HTTP/1.0, and paths with doubled
//! slashes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_LENGTH, UPGRADE};
use actix_web::http::uri::PathAndQuery;
use actix_web::http::{ConnectionType, Uri, Version};
use bytes::Bytes;
use futures_util::Stream;

/// Restrictions of a request on its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restrictions {
    /// The client does not know chunks, so only the connection's end can end a stream.
    unchunked: bool,
    /// The connection ends with the answer.
    ends: bool,
}

/// Normalises a request, and returns the restrictions on its answer.
pub(super) fn accept(req: &mut ServiceRequest) -> Restrictions {
    if let Some(uri) = without_doubled_slashes(req.uri()) {
        req.match_info_mut().get_mut().update(&uri);
        req.head_mut().uri = uri;
    }
    let is_old = req.version() < Version::HTTP_11;
    // Only HTTP is supported, so a request for another protocol is ignored (RFC 9110, 7.8).
    let has_upgrade = req.headers().contains_key(UPGRADE);
    if has_upgrade {
        end_at_its_length(req);
    }
    let ends = has_upgrade || req.head().connection_type() == ConnectionType::Upgrade;
    Restrictions { unchunked: is_old || has_upgrade, ends }
}

impl Restrictions {
    /// Applies the restrictions to an answer.
    pub(super) fn apply<B: MessageBody>(self, response: &mut ServiceResponse<B>) {
        let is_stream = matches!(response.response().body().size(), BodySize::Stream);
        let head = response.response_mut().head_mut();
        let unchunked = self.unchunked && is_stream;
        if unchunked {
            head.no_chunking(true);
        }
        if self.ends || unchunked {
            head.set_connection_type(ConnectionType::Close);
        }
    }
}

/// Ends the body at its length. After `Upgrade: websocket` actix-web treats everything that follows
/// as the body, whatever its length, and waits for more until the client gives up.
fn end_at_its_length(req: &mut ServiceRequest) {
    let chunked = req.chunked().unwrap_or(false);
    if chunked {
        return;
    }
    let length = req.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let left = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let payload = Limited { payload: req.take_payload(), left };
    req.set_payload(Payload::Stream { payload: Box::pin(payload) });
}

/// The first bytes of a body.
struct Limited {
    payload: Payload,
    left: u64,
}

impl Stream for Limited {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let next = match ready!(Pin::new(&mut this.payload).poll_next(cx)) {
            Some(Ok(mut chunk)) => {
                chunk.truncate(usize::try_from(this.left).unwrap_or(usize::MAX));
                this.left -= chunk.len() as u64;
                Ok(chunk)
            }
            Some(Err(error)) => Err(error),
            None => {
                this.left = 0;
                Err(PayloadError::Incomplete(None))
            }
        };
        Poll::Ready(Some(next))
    }
}

/// Removes empty segments that joining a base and a path leaves: those before the first name, after
/// `/v1`, and anywhere in the webhook's path. They have no other meaning there. Elsewhere in the
/// API an empty segment is an empty id.
fn without_doubled_slashes(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if !path.as_bytes().windows(2).any(|pair| pair == b"//") {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_trailing_slash = segments.peek().is_none();
        let matters = match kept.first() {
            None | Some(&"webhook") => false,
            Some(&"v1") => kept.len() > 1,
            Some(_) => true,
        };
        if !segment.is_empty() || matters || is_trailing_slash {
            kept.push(segment);
        }
    }
    let mut path = format!("/{}", kept.join("/"));
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_meaningless_empty_segments_are_removed() {
        for (given, expected) in [
            ("//webhook", "/webhook"),
            ("///webhook/", "/webhook/"),
            ("/webhook//kiosk?a=//b", "/webhook/kiosk?a=//b"),
            ("//webhook//kiosk//", "/webhook/kiosk/"),
            ("/webhook//", "/webhook/"),
            ("//v1//agents?x=1", "/v1/agents?x=1"),
            ("//v1/agents//sessions", "/v1/agents//sessions"),
            ("//healthz", "/healthz"),
            ("//", "/"),
            ("http://h//webhook", "http://h/webhook"),
        ] {
            let uri = without_doubled_slashes(&given.parse().unwrap()).unwrap();
            assert_eq!(uri.to_string(), expected);
        }
        for kept in ["/v1/agents//sessions", "/v1/sessions/a//", "/docs//", "/a//webhook"] {
            let uri = without_doubled_slashes(&kept.parse().unwrap()).unwrap();
            assert_eq!(uri.to_string(), kept, "it may be an id");
        }
        for plain in ["/webhook", "/v1/agents?cursor=a//b", "/"] {
            assert!(without_doubled_slashes(&plain.parse().unwrap()).is_none(), "{plain}");
        }
    }
}
