//! Network that counts as one client.

use std::net::{IpAddr, Ipv6Addr};

/// Returns the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address,
/// since a host may use any address of its /64.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
    }
}
