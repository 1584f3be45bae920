//! What a long answer needs to go on: the key or browser session that it was asked for with, and
//! the service.
//!
//! A page is sent within moments, an export or a stream within hours. Whatever takes longer ends
//! with its key, be it revoked or expired, and with its session.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::identity::Credential;
use super::{ApiState, Caller, Keyring};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::problem::Code;
use crate::store::keys::Scope;

/// How often the key is looked at while there is nothing to send, so that one that has ended is told
/// so; and how long the database is left alone that could not say.
pub(super) const KEY_CHECK: Duration = Duration::from_secs(1);

/// Looks after one long answer.
#[derive(Debug)]
pub(super) struct Watch {
    life: Lifecycle,
    keyring: Keyring,
    clock: Clock,
    credential: Credential,
    expires_at: Option<DateTime<Utc>>,
    /// Any one of these lets it go on; where there are none, any key does.
    scopes: &'static [Scope],
    /// The database could not say; until then it is not asked again.
    unknown_until: Option<Instant>,
}

/// An answer that ends before its time, by nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Ended {
    #[error("the service stops")]
    Stopping,
    #[error("the key or browser session is no longer valid")]
    KeyEnded,
}

impl Watch {
    /// For an answer to this caller, which needs one of the scopes.
    pub(super) fn new(caller: &Caller, state: &ApiState, scopes: &'static [Scope]) -> Self {
        Self {
            life: state.life.clone(),
            keyring: state.keyring.clone(),
            clock: state.clock.clone(),
            credential: caller.credential().clone(),
            expires_at: caller.expires_at(),
            scopes,
            unknown_until: None,
        }
    }

    /// Whether the answer may go on.
    pub(super) async fn check(&mut self) -> Result<(), Ended> {
        if self.life.is_stopping() {
            return Err(Ended::Stopping);
        }
        self.check_key().await
    }

    /// Whether the key lets it go on. Most often that is known here; otherwise the database is asked,
    /// and while it does not answer nothing else can be read either.
    pub(super) async fn check_key(&mut self) -> Result<(), Ended> {
        if self.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(Ended::KeyEnded);
        }
        let known = match self.keyring.recall(&self.credential) {
            Some(known) => known,
            None if self.unknown_until.is_some_and(|until| Instant::now() < until) => return Ok(()),
            None => self.keyring.look_up(&self.credential, false).await,
        };
        match known {
            Ok(_) if self.scopes.is_empty() => {}
            Ok(known) if self.scopes.iter().any(|scope| known.grant.allows(*scope)) => {}
            Err(problem) if problem.code() != Code::InvalidKey => {
                self.unknown_until = Some(Instant::now() + KEY_CHECK);
            }
            _ => return Err(Ended::KeyEnded),
        }
        Ok(())
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
        let credential = Credential::Key(super::keyring::PresentedKey::of(key));
        Self {
            life,
            keyring,
            clock,
            credential,
            expires_at: None,
            scopes: &[],
            unknown_until: None,
        }
    }
}
