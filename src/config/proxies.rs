//! Proxies whose `X-Forwarded-For` is trusted.

use std::net::IpAddr;

use ipnet::IpNet;

/// Parses the comma-separated list of environment or command line, or the file's list.
pub(super) fn resolve(flag: Option<&str>, file: Option<&[String]>) -> anyhow::Result<Vec<IpNet>> {
    let listed: Vec<&str> = match flag.filter(|text| !text.trim().is_empty()) {
        Some(text) => text.split(',').collect(),
        None => file.unwrap_or_default().iter().map(String::as_str).collect(),
    };
    listed.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(parse).collect()
}

fn parse(text: &str) -> anyhow::Result<IpNet> {
    // An IPv4 address within IPv6 is compared as IPv4.
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse::<IpNet>().map(|net| net.trunc())).map_err(|_| {
        anyhow::anyhow!(
            "trusted-proxies must list addresses and networks such as 10.0.0.0/8, 192.0.2.7 or \
             fd00::/8, not {text:?}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_addresses_and_networks() {
        let file = ["127.0.0.1".to_owned()];
        let listed = |flag| {
            let nets = resolve(flag, Some(&file)).unwrap();
            nets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            listed(Some("10.1.2.3/8, 192.0.2.7,fd00::/8,, ::1,::ffff:192.0.2.8,")),
            "10.0.0.0/8 192.0.2.7/32 fd00::/8 ::1/128 192.0.2.8/32"
        );
        assert_eq!(listed(None), "127.0.0.1/32");
        assert_eq!(listed(Some(" ")), "127.0.0.1/32", "empty variable counts as not set");
        assert!(resolve(None, None).unwrap().is_empty());
    }

    #[test]
    fn invalid_address_is_named() {
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0.0", "1.2.3.4:80"] {
            let error = resolve(Some(wrong), None).unwrap_err().to_string();
            assert!(error.contains(wrong) && error.contains("trusted-proxies"), "{error}");
        }
    }
}
