//! Headers on every answer that keep a browser from harm. They hold for a page as well as for
//! JSON; a page that needs more than nothing sets a policy of its own.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, VARY, X_CONTENT_TYPE_OPTIONS,
};

/// A JSON answer loads nothing and is shown in nobody's frame.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
/// No cache keeps conversations.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// A year. Without subdomains, which need not be ours.
const BY_TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");
const COOKIE: HeaderValue = HeaderValue::from_static("Cookie");
/// Most headers that are added.
const MOST: usize = 6;

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
    if headers.get(CACHE_CONTROL).is_some_and(|value| value.as_bytes().starts_with(b"private")) {
        // The answer may depend on the cookie.
        headers.append(VARY, COOKIE);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_handler_says_of_its_own_answer_stands() {
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
    fn an_answer_that_one_browser_may_keep_varies_with_its_cookie() {
        for (policy, varies) in [("private, no-cache", true), ("no-cache", false)] {
            let mut headers = HeaderMap::new();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(policy));
            secure(&mut headers, false, false);
            assert_eq!(headers.get(VARY).is_some_and(|value| value == "Cookie"), varies);
        }
    }

    #[test]
    fn browsers_are_told_of_tls_where_it_is_ours() {
        for strict_transport in [true, false] {
            let mut headers = HeaderMap::new();
            secure(&mut headers, true, strict_transport);
            assert_eq!(headers.contains_key(STRICT_TRANSPORT_SECURITY), strict_transport);
        }
    }
}
