//! Cross-origin requests: which other origins' pages may read answers in a browser.
//!
//! A key comes in a header that a page has to set, so an origin that is allowed gains nothing without
//! a key. Credentials of the browser's are never allowed: the cookie of a browser session opens
//! nothing to another origin.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    HeaderMap, HeaderValue, ORIGIN, VARY,
};

use crate::config::CorsOrigins;

/// What a page may do.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE");
/// What a page may send beyond what every page may.
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, X-API-Key, Last-Event-ID, If-None-Match, Content-Type, X-Request-Id, Prefer, \
     Verbatim-Position",
);
/// What a page may read beyond what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Link, ETag, X-Request-Id, Retry-After, Content-Disposition, WWW-Authenticate, Preference-Applied, \
     Verbatim-Position",
);
/// How long a browser may keep what a preflight said, in seconds. Chrome takes two hours at the most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The origins that may read answers. Cheap to clone; none by default.
#[derive(Clone, Debug, Default)]
pub struct Cors(Allowed);

#[derive(Clone, Debug, Default)]
enum Allowed {
    #[default]
    None,
    Listed(Arc<[HeaderValue]>),
    Any,
}

/// What one request's answer says to the browser.
#[derive(Clone, Debug)]
pub struct CorsAnswer {
    /// The value of `Access-Control-Allow-Origin`, if its origin is allowed.
    allowed: Option<HeaderValue>,
    /// The answer depends on the origin.
    varies: bool,
}

impl Cors {
    /// These origins.
    #[must_use]
    pub fn new(origins: &CorsOrigins) -> Self {
        Self(match origins {
            CorsOrigins::None => Allowed::None,
            CorsOrigins::Any => Allowed::Any,
            // Each is of ASCII, so none is left out.
            CorsOrigins::Listed(origins) => Allowed::Listed(
                origins.iter().filter_map(|origin| HeaderValue::try_from(origin).ok()).collect(),
            ),
        })
    }

    /// What the answer to a request with these headers says; nothing where no origin is allowed.
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
    /// Answers a preflight, by which a browser asks what a page may do. It has no key. One of an
    /// origin that is not allowed is answered without leave, which the browser tells its developer.
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

    /// Adds what every answer says.
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

    fn asked(cors: &Cors, origin: Option<&'static str>) -> (Option<String>, bool) {
        let mut asked = HeaderMap::new();
        if let Some(origin) = origin {
            asked.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        let mut told = HeaderMap::new();
        if let Some(answer) = cors.answer(&asked) {
            answer.add_to(&mut told);
        }
        let allowed = told.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        (allowed.map(|value| value.to_str().unwrap().to_owned()), told.contains_key(VARY))
    }

    #[test]
    fn an_origin_is_allowed_where_it_is_listed_to_the_letter() {
        let cors = Cors::new(&CorsOrigins::Listed(vec!["https://a.example".into()]));
        assert_eq!(
            asked(&cors, Some("https://a.example")),
            (Some("https://a.example".into()), true)
        );
        for other in ["http://a.example", "https://a.example:444", "https://a.example.evil", "null"]
        {
            assert_eq!(asked(&cors, Some(other)), (None, true), "{other}");
        }
        assert_eq!(asked(&cors, None), (None, true), "a cache must not keep it for others");
        assert_eq!(asked(&Cors::default(), Some("https://a.example")), (None, false));
        let any = Cors::new(&CorsOrigins::Any);
        assert_eq!(asked(&any, Some("https://b.example")), (Some("*".into()), false));
    }
}
