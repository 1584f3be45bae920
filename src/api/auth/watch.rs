//! Conditions under which a long answer continues: its key or browser session is valid, and the
//! service runs.
//!
//! A page is sent within moments, an export or a stream within hours. A long answer ends when its key
//! is revoked or expires, and when its session ends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::api::auth::credential::Credential;
use crate::api::auth::key_cache::KeyCache;
use crate::api::{ApiState, Caller};
use crate::clock::Clock;
use crate::lifecycle::Lifecycle;
use crate::problem::Code;
use crate::store::keys::Scope;

/// Time between two checks of the key while there is nothing to send, and between two queries while
/// the database does not answer.
pub(crate) const KEY_CHECK: Duration = Duration::from_secs(1);

/// Check of one long answer.
#[derive(Debug)]
pub(crate) struct Watch {
    life: Lifecycle,
    key_cache: KeyCache,
    clock: Clock,
    credential: Credential,
    expires_at: Option<DateTime<Utc>>,
    /// Scopes of which the key needs one; without any, each key will do.
    scopes: &'static [Scope],
    /// Time of the next query, after one that the database did not answer.
    unknown_until: Option<Instant>,
}

/// Reason for the early end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the service stops")]
    Stopping,
    #[error("the key or browser session is no longer valid")]
    KeyEnded,
}

impl Watch {
    /// Returns a check for an answer to this caller, which needs one of the scopes.
    pub(crate) fn new(caller: &Caller, state: &ApiState, scopes: &'static [Scope]) -> Self {
        Self {
            life: state.life.clone(),
            key_cache: state.key_cache.clone(),
            clock: state.clock.clone(),
            credential: caller.credential().clone(),
            expires_at: caller.expires_at(),
            scopes,
            unknown_until: None,
        }
    }

    /// Returns an error once the answer must end.
    pub(crate) async fn check(&mut self) -> Result<(), Ended> {
        if self.life.is_stopping() {
            return Err(Ended::Stopping);
        }
        self.check_key().await
    }

    /// Returns an error once the key is not valid any more. Queries the database if the key is not
    /// cached; while the database does not answer, the key stays valid.
    pub(crate) async fn check_key(&mut self) -> Result<(), Ended> {
        if self.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(Ended::KeyEnded);
        }
        let known = match self.key_cache.recall(&self.credential) {
            Some(known) => known,
            None if self.unknown_until.is_some_and(|until| Instant::now() < until) => return Ok(()),
            None => self.key_cache.look_up(&self.credential, false).await,
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

    /// Returns the outcome of `work`, or an error if the service stops before.
    pub(crate) async fn unless_stopping<T>(
        &self,
        work: impl Future<Output = T>,
    ) -> Result<T, Ended> {
        tokio::select! {
            biased;
            () = self.life.stopping() => Err(Ended::Stopping),
            done = work => Ok(done),
        }
    }

    /// Returns a check for a test.
    #[cfg(test)]
    pub(crate) fn of_key(key_cache: KeyCache, key: &str, life: Lifecycle, clock: Clock) -> Self {
        let credential = Credential::Key(super::credential::PresentedKey::of(key));
        Self {
            life,
            key_cache,
            clock,
            credential,
            expires_at: None,
            scopes: &[],
            unknown_until: None,
        }
    }
}
