//! Proxies whose `X-Forwarded-For` is trusted.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses and networks of trusted proxies.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub(super) Vec<IpNet>);

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = anyhow::Error;

    fn try_from(listed: Vec<String>) -> anyhow::Result<Self> {
        let listed = listed.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        listed.map(parse).collect::<anyhow::Result<_>>().map(Self)
    }
}

fn parse(text: &str) -> anyhow::Result<IpNet> {
    // An IPv4 address within IPv6 is compared as IPv4.
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse::<IpNet>().map(|net| net.trunc())).map_err(|_| {
        anyhow::anyhow!(
            "must list addresses and networks such as 10.0.0.0/8, 192.0.2.7 or \
             fd00::/8, not {text:?}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::text::Listed;

    #[test]
    fn proxies_are_addresses_and_networks() {
        let listed = |text: &str| {
            let Listed(TrustedProxies(nets)) = text.parse().unwrap();
            nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            listed("10.1.2.3/8, 192.0.2.7,fd00::/8,, ::1,::ffff:192.0.2.8,"),
            "10.0.0.0/8 192.0.2.7/32 fd00::/8 ::1/128 192.0.2.8/32"
        );
        assert_eq!(listed(" "), "");
    }

    #[test]
    fn invalid_address_is_named() {
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0.0", "1.2.3.4:80"] {
            let error = wrong.parse::<Listed<TrustedProxies>>().unwrap_err().to_string();
            assert!(error.contains(wrong) && error.starts_with("must list "), "{error}");
        }
    }
}
