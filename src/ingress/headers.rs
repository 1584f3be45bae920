//! Security headers of every answer, for pages and JSON. A page that loads resources sets a
//! different policy.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};

/// A JSON answer loads nothing and may not be framed.
const DENY_ALL: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// No cache may store conversations.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// One year, without subdomains, which may belong to others.
const ONE_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
const COOKIE: HeaderValue = HeaderValue::from_static("Cookie");
/// Most headers that are added.
const MOST: usize = 6;

/// Adds the headers that an answer lacks. Answers of the webhook get no `Cache-Control`, since
/// answers to a POST are not cached.
pub fn secure(headers: &mut HeaderMap, is_delivery: bool, strict_transport: bool) {
    headers.reserve(MOST);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    add(headers, CONTENT_SECURITY_POLICY, DENY_ALL);
    if !is_delivery {
        add(headers, CACHE_CONTROL, NO_STORE);
    }
    if headers.get(CACHE_CONTROL).is_some_and(|value| value.as_bytes().starts_with(b"private")) {
        // The answer may depend on the cookie.
        headers.append(VARY, COOKIE);
    }
    if strict_transport {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONE_YEAR);
    }
}

/// Adds a header unless the handler has set it.
fn add(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    if !headers.contains_key(&name) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_set_by_a_handler_are_kept() {
        let mut headers = HeaderMap::new();
        let own = HeaderValue::from_static("default-src 'self'");
        let cached = HeaderValue::from_static("max-age=60");
        headers.insert(CONTENT_SECURITY_POLICY, own.clone());
        headers.insert(CACHE_CONTROL, cached.clone());
        secure(&mut headers, false, false);
        assert_eq!(headers.get(CONTENT_SECURITY_POLICY), Some(&own));
        assert_eq!(headers.get(CACHE_CONTROL), Some(&cached));
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn privately_cached_answer_varies_with_the_cookie() {
        for (policy, varies) in [("private, no-cache", true), ("no-cache", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(policy));
            secure(&mut headers, false, false);
            assert_eq!(headers.get(VARY).is_some_and(|value| value == "Cookie"), varies);
        }
    }

    #[test]
    fn strict_transport_header_is_sent_if_tls_is_served() {
        for strict_transport in [true, false] {
            let mut headers = HeaderMap::new();
            secure(&mut headers, true, strict_transport);
            assert_eq!(headers.contains_key(STRICT_TRANSPORT_SECURITY), strict_transport);
        }
    }
}
