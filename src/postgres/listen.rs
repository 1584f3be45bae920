//! TCP for readers: the private server listens on an address beside its socket.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;

use super::name::NAME;

/// Role whose members may connect over TCP; `verbatim readers` creates it. A superuser is not
/// counted as a member.
const MEMBERS: &str = "verbatim_readers";
/// Mode of the rules file: the server's account must read it, and it contains no secret.
const READABLE: u32 = 0o644;

/// Address on which the server listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: SocketAddr,
    /// Connections must use TLS.
    pub(super) requires_tls: bool,
}

impl Listen {
    /// Returns `true` if other machines can reach the address.
    pub(super) fn is_public(address: SocketAddr) -> bool {
        !address.ip().is_loopback()
    }

    /// Checks that the address is free. Otherwise the server would not start.
    pub(super) fn check_free(self) -> std::io::Result<()> {
        TcpListener::bind(self.address).map(drop)
    }

    /// Returns the options for the server's command line, with the file of the access rules.
    pub(super) fn options(self, rules: &Path) -> [OsString; 3] {
        let mut file = OsString::from("hba_file=");
        file.push(rules);
        let address = format!("listen_addresses={}", self.address.ip());
        [address.into(), format!("port={}", self.address.port()).into(), file]
    }

    /// Writes the access rules.
    pub(super) fn write_rules(self, path: &Path) -> anyhow::Result<()> {
        let aside = path.with_extension("new");
        std::fs::write(&aside, self.rules())
            .and_then(|()| {
                std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(READABLE))
            })
            .and_then(|()| std::fs::rename(&aside, path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn rules(self) -> String {
        let host = if self.requires_tls { "hostssl" } else { "host" };
        format!(
            "# Written by verbatim at each start with --postgres-listen.\n\
             # The socket is in a folder that is closed to other accounts.\n\
             local all all trust\n\
             # TCP is for readers alone.\n\
             {host} {NAME} +{MEMBERS} all scram-sha-256\n\
             host all all all reject\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Listen {
        Listen { address: address.parse().unwrap(), requires_tls: false }
    }

    #[test]
    fn address_is_public_unless_it_is_loopback() {
        for (address, public) in [
            ("127.0.0.1:1", false),
            ("127.1.2.3:1", false),
            ("[::1]:1", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("10.0.0.7:1", true),
        ] {
            assert_eq!(Listen::is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn address_in_use_is_not_free() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listen(&taken.local_addr().unwrap().to_string());
        listen.check_free().unwrap_err();
        drop(taken);
        listen.check_free().unwrap();
    }

    #[test]
    fn rules_admit_only_readers_with_a_password() {
        let rules = listen("0.0.0.0:5432").rules();
        let lines: Vec<_> = rules.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "local all all trust",
            "host verbatim +verbatim_readers all scram-sha-256",
            "host all all all reject",
        ];
        assert_eq!(lines, expected);
        let rules = Listen { requires_tls: true, ..listen("0.0.0.0:5432") }.rules();
        assert!(rules.contains("\nhostssl verbatim +verbatim_readers all "), "{rules}");
    }
}
