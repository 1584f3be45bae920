//! What a long answer needs to go on: the key that it was asked for with, and the service.
//!
//! A page is sent within moments, an export or a stream within hours. Whatever takes longer ends
//! with its key, be it revoked or expired.

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::Instant;

use super::caller::key_of;
use super::{ApiState, Caller, Keyring};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::problem::Code;
use crate::store::keys::Scope;

/// How often the key is looked at again, so that one that has ended shows no more.
pub(super) const KEY_CHECK: Duration = Duration::from_secs(1);

/// Looks after one long answer.
#[derive(Debug)]
pub(super) struct Watch {
    life: Lifecycle,
    keyring: Keyring,
    clock: Clock,
    key: String,
    expires_at: Option<DateTime<Utc>>,
    /// Any one of these lets it go on; where there are none, any key does.
    scopes: &'static [Scope],
    checked_at: Instant,
}

/// An answer that ends before its time, by nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the service stops")]
    Stopping,
    #[error("the key is no longer valid")]
    KeyEnded,
}

impl Watch {
    /// For an answer to this request, which needs one of the scopes.
    pub(super) fn new(
        req: &HttpRequest,
        caller: &Caller,
        state: &ApiState,
        scopes: &'static [Scope],
    ) -> Self {
        Self {
            life: state.life.clone(),
            keyring: state.keyring.clone(),
            clock: state.clock.clone(),
            key: key_of(req.headers()).unwrap_or_default().to_owned(),
            expires_at: caller.expires_at(),
            scopes,
            checked_at: Instant::now(),
        }
    }

    /// Whether the answer may go on.
    pub(super) async fn check(&mut self) -> Result<(), Ended> {
        if self.life.is_stopping() {
            return Err(Ended::Stopping);
        }
        self.check_key().await
    }

    /// Whether the key lets it go on. It is looked at once in a while, however often this is asked;
    /// while that cannot be found out nothing else can be read either.
    pub(super) async fn check_key(&mut self) -> Result<(), Ended> {
        if self.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(Ended::KeyEnded);
        }
        if self.checked_at.elapsed() < KEY_CHECK {
            return Ok(());
        }
        self.checked_at = Instant::now();
        let known = match self.keyring.recall(&self.key) {
            Some(known) => known,
            None => self.keyring.look_up(&self.key, false).await,
        };
        let goes_on = known.map_or_else(
            |problem| problem.code() != Code::InvalidKey,
            |grant| self.scopes.is_empty() || self.scopes.iter().any(|it| grant.allows(*it)),
        );
        if goes_on { Ok(()) } else { Err(Ended::KeyEnded) }
    }

    /// When the key is to be looked at next.
    pub(super) fn next_check(&self) -> Instant {
        self.checked_at + KEY_CHECK
    }

    /// What comes of `work`, unless the service stops before.
    pub(super) async fn unless_stopping<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.life.stopping() => Err(Ended::Stopping),
            done = work => Ok(done),
        }
    }

    /// One for a test's own answer.
    #[cfg(test)]
    pub(super) fn of_key(keyring: Keyring, key: &str, life: Lifecycle, clock: Clock) -> Self {
        let (key, checked_at) = (key.to_owned(), Instant::now());
        Self { life, keyring, clock, key, expires_at: None, scopes: &[], checked_at }
    }
}
