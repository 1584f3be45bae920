//! Credential of a request: an API key, or the cookie of a browser session.

use std::str;

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use super::cookie;
use crate::ingress::Ingress;
use crate::store::browser_sessions::SessionToken;
use crate::store::keys::{KeyHash, has_key_form};

/// Key of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PresentedKey {
    pub(crate) hash: KeyHash,
    /// True for the shape of a stored key.
    pub(crate) has_shape: bool,
}

impl PresentedKey {
    /// Hashes a key.
    pub(crate) fn of(key: &str) -> Self {
        Self { hash: KeyHash::of(key), has_shape: has_key_form(key) }
    }
}

/// Credential of a request.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// An API key, in a header.
    Key(PresentedKey),
    /// A browser session, in a cookie.
    Session(SessionToken),
}

impl Credential {
    /// Reads the credential of a request. A key in a header takes precedence over the cookie.
    pub(crate) fn of(req: &HttpRequest, ingress: &Ingress) -> Option<Self> {
        if let Some(key) = key_in(req.headers()) {
            return Some(Self::Key(PresentedKey::of(key)));
        }
        cookie::token(req.headers(), ingress.is_https(req.head())).map(Self::Session)
    }
}

/// Returns the key in a request's headers. Another scheme than `Bearer` may be for a proxy, so it does
/// not hide an `X-API-Key`.
fn key_in(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| text(value).split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key);
    bearer
        .or_else(|| headers.get("x-api-key").map(text))
        .map(str::trim)
        .filter(|key| !key.is_empty())
}

/// Returns the text of a header. Bytes that are not text are a wrong key, not a missing one.
fn text(value: &HeaderValue) -> &str {
    str::from_utf8(value.as_bytes()).unwrap_or("?")
}
