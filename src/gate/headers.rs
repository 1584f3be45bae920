//! Headers on every answer that keep a browser from harm. They hold for a page as well as for
//! JSON; a page that needs more than nothing sets a policy of its own.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};

/// A JSON answer loads nothing and is shown in nobody's frame.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// No cache keeps conversations.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// A year. Without subdomains, which need not be ours.
const BY_TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Most headers that are added.
const MOST: usize = 5;

/// Adds what an answer lacks. Nobody caches what the webhook answers, so it goes without a word
/// on that.
pub fn secure(headers: &mut HeaderMap, is_delivery: bool, strict_transport: bool) {
    headers.reserve(MOST);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    add(headers, CONTENT_SECURITY_POLICY, NOTHING);
    if !is_delivery {
        add(headers, CACHE_CONTROL, NO_STORE);
    }
    if strict_transport {
        headers.insert(STRICT_TRANSPORT_SECURITY, BY_TLS_ONLY);
    }
}

/// Unless the handler has its own.
fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value);
    }
}
