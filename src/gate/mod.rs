//! What holds for every request, on the way in and on the way out: whose it is ([`Proxies`]),
//! whether its address has failed too often ([`Failures`]), how much memory bodies may take
//! ([`Bodies`]), how many connections may be open, which other origins may read answers ([`Cors`]),
//! and the headers that keep a browser from harm ([`headers`]).
//!
//! It never refuses what is right: a good delivery or key passes whatever others do behind the
//! same address.

mod bodies;
mod cors;
mod failures;
pub mod headers;
mod proxies;

use std::net::IpAddr;

use actix_web::dev::RequestHead;

pub use bodies::{Bodies, Full, Room};
pub use cors::{Cors, CorsAnswer};
pub use failures::{Failures, TooMany};
pub use proxies::Proxies;

use crate::clock::Clock;
use crate::problem::{Code, Problem};

/// What all workers share. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Whose word on the client's address is taken.
    pub proxies: Proxies,
    /// Failed authentications by address.
    pub failures: Failures,
    /// Which other origins' pages may read answers.
    pub cors: Cors,
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
            failures: Failures::new(clock),
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
