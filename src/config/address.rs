//! Addresses to listen on.

use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::Context as _;

use super::text::setting;

setting! {
    /// Host and port. The host can be a name, which is resolved at start.
    #[derive(Clone, Debug)]
    Address(String) = parse, default "127.0.0.1:8080".to_owned()
}

impl Address {
    /// Returns the address that the host's name has on this machine.
    pub(super) fn resolve(&self, setting: &str) -> anyhow::Result<SocketAddr> {
        let found = self.0.to_socket_addrs().ok().and_then(|mut all| all.next());
        found.with_context(|| format!("{setting} {}", expectation(&self.0)))
    }
}

fn parse(text: &str) -> anyhow::Result<String> {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    let parts = text.rsplit_once(':').filter(|(host, port)| !host.is_empty() && is_port(port));
    parts.map(|_| text.to_owned()).with_context(|| expectation(text))
}

fn expectation(text: &str) -> String {
    format!("must be host:port such as 127.0.0.1:8080, not {text:?}")
}
