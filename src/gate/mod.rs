//! What holds for every request, on the way in and on the way out: whose it is ([`Proxies`]),
//! whether its address has failed too often ([`Failures`]), how much memory bodies may take
//! ([`Bodies`]) and how they are read ([`body`]), how a limited amount is shared ([`Shares`]), how
//! quick the other end has to be ([`Pace`]), which other origins may read answers ([`Cors`]), which
//! origin's page made it ([`PageOrigin`]), and the headers that keep a browser from harm
//! ([`headers`]).
//!
//! It never refuses what is right: a good delivery or key passes whatever others do behind the
//! same address.

mod bodies;
pub mod body;
mod cors;
mod failures;
pub mod headers;
mod pace;
mod proxies;
mod same_origin;
mod shares;

use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::RequestHead;
use uuid::Uuid;

pub use bodies::{Bodies, Full, Room};
pub use cors::{Cors, CorsAnswer};
pub use failures::{Failures, TooMany};
pub use pace::Pace;
pub use proxies::Proxies;
pub use same_origin::PageOrigin;
pub use shares::{Share, Shares, Short};

use crate::clock::Clock;
use crate::problem::{Code, Problem};

/// Among a request's extensions: its credentials were found right. The log tells of it in full.
#[derive(Clone, Copy, Debug)]
pub struct Trusted;

/// Among a request's extensions: marks a file of the page, which is logged at level `debug`.
#[derive(Clone, Copy, Debug)]
pub struct Routine;

/// Whose something is that is shared among keys: the key's id, and nothing for the one of the
/// settings.
pub type KeyId = Option<Uuid>;

/// What all workers share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Whose word on the client's address is taken.
    pub proxies: Proxies,
    /// Failed authentications by address.
    pub failures: Failures,
    /// Which other origins' pages may read answers.
    pub cors: Cors,
    /// Lines in the log without valid credentials by address.
    pub lines: Failures,
    /// Room for bodies that are being read.
    pub bodies: Bodies,
    /// TLS is served by us: browsers are told to come by it and by nothing else.
    pub strict_transport: bool,
}

impl Gate {
    /// A gate that trusts these proxies, for bodies of up to `max_body_bytes`.
    #[must_use]
    pub fn new(proxies: Proxies, max_body_bytes: usize, clock: Clock) -> Self {
        Self {
            proxies,
            failures: Failures::new(clock.clone()),
            lines: Failures::lines(clock),
            cors: Cors::default(),
            bodies: Bodies::for_bodies_of(max_body_bytes),
            strict_transport: false,
        }
    }

    /// The address of whoever sent this.
    #[must_use]
    pub fn client(&self, head: &RequestHead) -> IpAddr {
        self.proxies.client(head)
    }

    /// What to answer to wrong or missing credentials: what `problem` says of them, or 429 once
    /// the address has shown too many. It is for failures alone, and counts one.
    #[must_use]
    pub fn refusal(&self, client: IpAddr, problem: impl FnOnce() -> Problem) -> Problem {
        match self.failures.note(client) {
            Ok(()) => problem(),
            Err(TooMany { retry_after_seconds }) => Problem::new(
                Code::RateLimited,
                "These credentials are missing or wrong, and so were many others from this \
                 address; the first answers and the log say what is wrong.",
            )
            .retry_after(retry_after_seconds),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            failures: Failures::default(),
            lines: Failures::lines(Clock::system()),
            cors: Cors::default(),
            bodies: Bodies::default(),
            strict_transport: false,
        }
    }
}

/// The network that an address belongs to, as one client: in IPv6 a host has a whole /64 to choose
/// its own from.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
    }
}
