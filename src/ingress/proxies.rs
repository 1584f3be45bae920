//! Client address and scheme of a request: those of the connection, or those that a listed proxy
//! reports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::header::HeaderName;
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Most proxies that are followed, far more than any real chain. It bounds the work for a header
/// full of listed addresses.
const MAX_HOPS: usize = 32;

/// Proxies whose `X-Forwarded-For` is trusted. Cheap to clone; none by default.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    /// Creates a list of trusted addresses and networks.
    #[must_use]
    pub fn new(listed: &[IpNet]) -> Self {
        Self(listed.into())
    }

    /// Returns the client's address. Starts at the connection's peer, and reads the header from the
    /// right as long as the present address is a listed proxy. An IPv4-mapped IPv6 address counts
    /// as IPv4.
    #[must_use]
    pub fn client(&self, head: &RequestHead) -> IpAddr {
        // Every connection has a peer; only a request made in a test has none.
        let peer = head.peer_addr.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let mut client = peer.to_canonical();
        if !self.is_listed(client) {
            return client;
        }
        let lines = head.headers().get_all(X_FORWARDED_FOR).rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        // A list may have empty members.
        let hops = hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty());
        for hop in hops.take(MAX_HOPS) {
            // An invalid address ends the chain at the proxy that forwarded it.
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.is_listed(client) {
                break;
            }
        }
        client
    }

    /// Returns true if a listed proxy reports HTTPS in `X-Forwarded-Proto`.
    #[must_use]
    pub fn forward_https(&self, head: &RequestHead) -> bool {
        let is_listed = head.peer_addr.is_some_and(|peer| self.is_listed(peer.ip().to_canonical()));
        let scheme = head.headers().get(X_FORWARDED_PROTO).map(|value| {
            // Each proxy appends its own scheme: the first one is the client's.
            value.as_bytes().split(|byte| *byte == b',').next().unwrap_or_default().trim_ascii()
        });
        is_listed && scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
    }

    fn is_listed(&self, address: IpAddr) -> bool {
        self.0.iter().any(|net| net.contains(&address))
    }
}

/// Parses an address in the forms that proxies write: plain, with a port, or IPv6 in brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?;
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))
        .or_else(|| bracketed().map(IpAddr::V6))
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn client(listed: &[&str], peer: &str, lines: &[&str]) -> String {
        let listed: Vec<IpNet> = listed.iter().map(|net| net.parse().unwrap()).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
        let mut request = TestRequest::default().peer_addr(peer);
        for line in lines {
            request = request.append_header(("X-Forwarded-For", *line));
        }
        Proxies::new(&listed).client(request.to_request().head()).to_string()
    }

    const LISTED: [&str; 3] = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"];

    #[test]
    fn only_listed_proxies_are_trusted() {
        for listed in [&[] as &[_], &LISTED] {
            assert_eq!(client(listed, "203.0.113.5", &["198.51.100.1"]), "203.0.113.5");
            assert_eq!(client(listed, "2001:db8::1", &["198.51.100.1"]), "2001:db8::1");
        }
        assert_eq!(client(&[], "10.0.0.1", &["198.51.100.1"]), "10.0.0.1");
        assert_eq!(client(&LISTED, "192.0.2.8", &["198.51.100.1"]), "192.0.2.8");
    }

    #[test]
    fn scheme_is_read_from_listed_proxies_only() {
        let https = |peer: &str, value: Option<&str>| {
            let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
            let mut request = TestRequest::default().peer_addr(peer);
            if let Some(value) = value {
                request = request.insert_header(("X-Forwarded-Proto", value));
            }
            let listed: Vec<IpNet> = LISTED.iter().map(|net| net.parse().unwrap()).collect();
            Proxies::new(&listed).forward_https(request.to_request().head())
        };
        for value in ["https", "HTTPS", " https , http"] {
            assert!(https("10.0.0.1", Some(value)), "{value}");
            assert!(!https("203.0.113.5", Some(value)), "{value}");
        }
        for value in [None, Some(""), Some("http"), Some("http, https"), Some("httpsx")] {
            assert!(!https("10.0.0.1", value), "{value:?}");
        }
    }

    #[test]
    fn header_is_read_from_the_right_past_listed_proxies() {
        for (lines, expected) in [
            (&["198.51.100.1"] as &[_], "198.51.100.1"),
            // The client's own claim is to the left of the address that the proxy added.
            (&["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            (&["1.1.1.1,198.51.100.1,10.9.9.9 ,192.0.2.7"], "198.51.100.1"),
            (&["1.1.1.1", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
            (&["1.1.1.1, 198.51.100.1", "10.9.9.9, "], "198.51.100.1"),
            (&["10.9.9.9, fd00::2"], "10.9.9.9"),
            (&[], "10.0.0.1"),
            (&["", " , "], "10.0.0.1"),
        ] {
            assert_eq!(client(&LISTED, "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn addresses_are_read_in_every_form_that_proxies_write() {
        for (hop, expected) in [
            ("198.51.100.1:52011", "198.51.100.1"),
            ("2001:db8::5", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("[2001:DB8::5]:443", "2001:db8::5"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("[::ffff:198.51.100.1]:8", "198.51.100.1"),
        ] {
            assert_eq!(client(&LISTED, "fd00::1", &[hop]), expected, "{hop}");
            assert_eq!(client(&LISTED, "::ffff:10.0.0.1", &[hop]), expected, "{hop}");
        }
    }

    #[test]
    fn invalid_address_ends_the_chain_at_the_proxy_that_forwarded_it() {
        for garbage in ["unknown", "_hidden", "198.51.100", "1.2.3.4:x", "[::1", "a\u{e9}", "::1%2"]
        {
            let line = format!("198.51.100.1, {garbage}, 10.2.2.2");
            assert_eq!(client(&LISTED, "10.0.0.1", &[&line]), "10.2.2.2", "{garbage}");
            assert_eq!(client(&LISTED, "10.0.0.1", &[garbage]), "10.0.0.1", "{garbage}");
        }
    }

    #[test]
    fn header_full_of_listed_addresses_is_not_read_to_its_end() {
        let line = format!("198.51.100.1{}", ", 10.1.1.1".repeat(10_000));
        assert_eq!(client(&LISTED, "10.0.0.1", &[&line]), "10.1.1.1");
    }
}
