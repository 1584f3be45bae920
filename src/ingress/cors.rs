//! Cross-origin requests: the origins whose pages may read answers in a browser.
//!
//! A page must set a header with a key, so an allowed origin gains nothing without a key. The
//! browser's credentials are never allowed: the cookie of a browser session grants nothing to
//! another origin.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::config::CorsOrigins;

/// Methods that a page may use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
/// Headers that a page may send besides the safelisted ones.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, X-API-Key, Last-Event-ID, If-None-Match, Content-Type, X-Request-Id, Prefer, \
     Verbatim-Position",
);
/// Headers that a page may read besides the safelisted ones.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Link, ETag, X-Request-Id, Retry-After, Content-Disposition, WWW-Authenticate, Preference-Applied, \
     Verbatim-Position",
);
/// Time for which a browser may cache a preflight, in seconds; two hours is Chrome's maximum.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// Origins that may read answers. Cheap to clone; none by default.
#[derive(Clone, Debug, Default)]
pub struct Cors(Allowed);

#[derive(Clone, Debug, Default)]
enum Allowed {
    #[default]
    None,
    Listed(Arc<[HeaderValue]>),
    Any,
}

/// CORS headers of the answer to one request.
#[derive(Clone, Debug)]
pub struct CorsAnswer {
    /// Value of `Access-Control-Allow-Origin`, if the origin is allowed.
    allowed: Option<HeaderValue>,
    /// The answer depends on the origin.
    varies: bool,
}

impl Cors {
    /// Creates the rules from the settings.
    #[must_use]
    pub fn new(origins: &CorsOrigins) -> Self {
        Self(match origins {
            CorsOrigins::None => Allowed::None,
            CorsOrigins::Any => Allowed::Any,
            // Each is ASCII, so none is skipped.
            CorsOrigins::Listed(origins) => Allowed::Listed(
                origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(),
            ),
        })
    }

    /// Returns the CORS headers for a request; `None` if no origin is allowed.
    #[must_use]
    pub fn answer(&self, headers: &HeaderMap) -> Option<CorsAnswer> {
        match &self.0 {
            Allowed::None => None,
            Allowed::Any => Some(CorsAnswer { allowed: Some(ANY), varies: false }),
            Allowed::Listed(origins) => {
                let origin = headers.get(ORIGIN);
                let allowed = origin.filter(|origin| origins.contains(origin)).cloned();
                Some(CorsAnswer { allowed, varies: true })
            }
        }
    }
}

impl CorsAnswer {
    /// Answers a preflight, which has no key; returns `None` for any other request. For an origin
    /// that is not allowed the answer grants nothing, which the browser reports to the page's
    /// developer.
    #[must_use]
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<HttpResponse> {
        let is_preflight = method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        let mut response = HttpResponse::NoContent();
        if self.allowed.is_some() {
            response
                .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
                .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS))
                .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE));
        }
        Some(response.finish())
    }

    /// Adds the headers of every answer.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, VARY_ORIGIN);
        }
        if let Some(allowed) = &self.allowed {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_for(cors: &Cors, origin: Option<&'static str>) -> (Option<String>, bool) {
        let mut request = HeaderMap::new();
        if let Some(origin) = origin {
            request.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        let mut headers = HeaderMap::new();
        if let Some(answer) = cors.answer(&request) {
            answer.add_to(&mut headers);
        }
        let allowed = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        (allowed.map(|value| value.to_str().unwrap().to_owned()), headers.contains_key(VARY))
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = Cors::new(&CorsOrigins::Listed(vec!["https://a.example".into()]));
        assert_eq!(
            headers_for(&cors, Some("https://a.example")),
            (Some("https://a.example".into()), true)
        );
        for other in ["http://a.example", "https://a.example:444", "https://a.example.evil", "null"]
        {
            assert_eq!(headers_for(&cors, Some(other)), (None, true), "{other}");
        }
        assert_eq!(
            headers_for(&cors, None),
            (None, true),
            "a cache must not reuse it for other origins"
        );
        assert_eq!(headers_for(&Cors::default(), Some("https://a.example")), (None, false));
        let any = Cors::new(&CorsOrigins::Any);
        assert_eq!(headers_for(&any, Some("https://b.example")), (Some("*".into()), false));
    }
}
