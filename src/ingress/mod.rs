//! Ingress rules for every request and answer: client address ([`Proxies`]), throttling of failed
//! authentications ([`AuthThrottle`]), memory budget ([`Bodies`]) and reading ([`body`]) of bodies,
//! shares of a limited amount ([`Shares`]), minimum rate of the client ([`Pace`]), cross-origin
//! requests ([`Cors`]), origin of the page that made a request ([`PageOrigin`]), and security
//! headers ([`headers`]).
//!
//! It never rejects valid credentials, whatever other clients behind the same address do.

mod auth_throttle;
mod bodies;
pub mod body;
mod cors;
pub mod headers;
mod network;
mod pace;
mod proxies;
mod same_origin;
mod shares;

use std::net::IpAddr;

use actix_web::dev::RequestHead;
use uuid::Uuid;

pub use auth_throttle::{AuthThrottle, TooMany};
pub use bodies::{Bodies, Full, Room};
pub use cors::{Cors, CorsAnswer};
pub use pace::Pace;
pub use proxies::Proxies;
pub use same_origin::PageOrigin;
pub use shares::{Share, Shares, Short};

use crate::clock::Clock;
use crate::problem::{Code, Problem};

/// Request extension: the credentials were valid, so the request is always logged.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated;

/// Request extension: a file of the page, which is logged at level `debug`.
#[derive(Clone, Copy, Debug)]
pub struct PageFile;

/// Owner of a share among keys: the key's ID, or `None` for the key of the settings.
pub type KeyId = Option<Uuid>;

/// State of the ingress, shared by all workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingress {
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub proxies: Proxies,
    /// Failed authentications by address.
    pub auth_throttle: AuthThrottle,
    /// Origins whose pages may read answers.
    pub cors: Cors,
    /// Log lines of requests without valid credentials, by address.
    pub lines: AuthThrottle,
    /// Memory budget of bodies that are being read.
    pub bodies: Bodies,
    /// The service terminates TLS, so `Strict-Transport-Security` is sent.
    pub strict_transport: bool,
}

impl Ingress {
    /// Creates the state with trusted proxies, for bodies of up to `max_body_bytes`.
    #[must_use]
    pub fn new(proxies: Proxies, max_body_bytes: usize, clock: Clock) -> Self {
        Self {
            proxies,
            auth_throttle: AuthThrottle::new(clock.clone()),
            lines: AuthThrottle::lines(clock),
            cors: Cors::default(),
            bodies: Bodies::for_bodies_of(max_body_bytes),
            strict_transport: false,
        }
    }

    /// Returns the client's address.
    #[must_use]
    pub fn client(&self, head: &RequestHead) -> IpAddr {
        self.proxies.client(head)
    }

    /// Counts a failed authentication, and returns its answer: `problem`, or a 429 after too many
    /// failures of the address. Call it for failures only.
    #[must_use]
    pub fn refusal(&self, client: IpAddr, problem: impl FnOnce() -> Problem) -> Problem {
        match self.auth_throttle.note(client) {
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

impl Default for Ingress {
    fn default() -> Self {
        Self {
            proxies: Proxies::default(),
            auth_throttle: AuthThrottle::default(),
            lines: AuthThrottle::lines(Clock::system()),
            cors: Cors::default(),
            bodies: Bodies::default(),
            strict_transport: false,
        }
    }
}
