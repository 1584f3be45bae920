//! Origin of the page that made a request, and the scheme that its browser used.
//!
//! A browser adds a cookie to a request of any page. It sends `Sec-Fetch-Site: same-origin` with
//! requests of the service's page, and no page can set that header. Over plain HTTP, and from old
//! browsers, there is only `Origin`.

use actix_web::dev::RequestHead;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};
use url::Url;

use super::Ingress;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Origin of the page that made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOrigin {
    /// This service.
    Same,
    /// Another origin.
    Other,
    /// Unknown: the request has neither header, like one of a program.
    Unknown,
}

impl Ingress {
    /// Returns true if the client uses HTTPS to this service or to a listed proxy.
    #[must_use]
    pub fn is_https(&self, head: &RequestHead) -> bool {
        self.strict_transport || self.proxies.forward_https(head)
    }

    /// Returns the origin of the page that made a request.
    #[must_use]
    pub fn page_origin(&self, head: &RequestHead) -> PageOrigin {
        if let Some(site) = head.headers().get(SEC_FETCH_SITE) {
            return if site == "same-origin" { PageOrigin::Same } else { PageOrigin::Other };
        }
        let Some(origin) = head.headers().get(ORIGIN) else { return PageOrigin::Unknown };
        let host = head.headers().get(HOST).and_then(|host| host.to_str().ok());
        let is_same = origin.to_str().ok().zip(host).is_some_and(|(origin, host)| {
            is_at(origin, host) && (!self.is_https(head) || origin.starts_with("https://"))
        });
        if is_same { PageOrigin::Same } else { PageOrigin::Other }
    }
}

/// Returns true if an origin is that of a host. Assumes the origin's scheme for the host, since a
/// proxy that is not listed may terminate HTTPS.
fn is_at(origin: &str, host: &str) -> bool {
    let Ok(page) = Url::parse(origin) else { return false };
    if !matches!(page.scheme(), "http" | "https") {
        return false;
    }
    Url::parse(&format!("{}://{host}/", page.scheme()))
        .is_ok_and(|own| own.origin() == page.origin())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::ingress::Proxies;

    fn origin(ingress: &Ingress, headers: &[(&str, &str)]) -> PageOrigin {
        let mut request = TestRequest::default().insert_header(("Host", "verbatim.test:8080"));
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        ingress.page_origin(request.peer_addr("10.0.0.1:9".parse().unwrap()).to_request().head())
    }

    #[test]
    fn sec_fetch_site_overrides_the_origin() {
        let ingress = Ingress::default();
        let own = ("Origin", "http://verbatim.test:8080");
        for (site, expected) in [
            ("same-origin", PageOrigin::Same),
            ("same-site", PageOrigin::Other),
            ("cross-site", PageOrigin::Other),
            ("none", PageOrigin::Other),
            ("", PageOrigin::Other),
        ] {
            assert_eq!(origin(&ingress, &[("Sec-Fetch-Site", site), own]), expected, "{site}");
        }
        // A proxy that changes `Host` hides the service's origin; the browser knows it.
        let behind = [("Sec-Fetch-Site", "same-origin"), ("Origin", "https://public.test")];
        assert_eq!(origin(&ingress, &behind), PageOrigin::Same);
    }

    #[test]
    fn origin_must_match_the_host() {
        let ingress = Ingress::default();
        assert_eq!(origin(&ingress, &[]), PageOrigin::Unknown);
        for own in ["http://verbatim.test:8080", "https://verbatim.test:8080"] {
            assert_eq!(origin(&ingress, &[("Origin", own)]), PageOrigin::Same, "{own}");
        }
        for other in [
            "http://verbatim.test",
            "http://verbatim.test:8081",
            "http://evil.test:8080",
            "http://verbatim.test:8080.evil.test",
            "http://verbatim.test:8080@evil.test",
            "null",
            "",
            "file://verbatim.test:8080",
        ] {
            assert_eq!(origin(&ingress, &[("Origin", other)]), PageOrigin::Other, "{other}");
        }
        let standard = [("Host", "Verbatim.test"), ("Origin", "https://verbatim.test")];
        assert_eq!(origin(&ingress, &standard), PageOrigin::Same);
        let standard = [("Host", "verbatim.test:443"), ("Origin", "https://verbatim.test")];
        assert_eq!(origin(&ingress, &standard), PageOrigin::Same);
    }

    #[test]
    fn plain_http_page_is_another_origin_under_https() {
        let mut ingress = Ingress { strict_transport: true, ..Ingress::default() };
        let plain = ("Origin", "http://verbatim.test:8080");
        assert_eq!(origin(&ingress, &[plain]), PageOrigin::Other);
        ingress.strict_transport = false;
        let forwarded = [plain, ("X-Forwarded-Proto", "https")];
        assert_eq!(origin(&ingress, &forwarded), PageOrigin::Same, "the proxy is not listed");
        ingress.proxies = Proxies::new(&["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(origin(&ingress, &forwarded), PageOrigin::Other);
        assert_eq!(origin(&ingress, &[plain]), PageOrigin::Same, "the proxy reports no scheme");
    }
}
