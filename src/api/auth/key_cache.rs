//! Cache of keys and their rights. `identity` adds browser sessions, which act for a key.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::api::auth::credential::PresentedKey;
use crate::api::auth::grant::Grant;
use crate::api::auth::key_hashes::KeyHashes;
use crate::api::auth::lifetimes::{CACHED_FOR, CACHED_IN_AN_OUTAGE, USE_PRECISION, cache};
use crate::api::auth::refusal::invalid_credential;
use crate::api::auth::session_cache::SessionCache;
use crate::clock::Clock;
use crate::problem::Problem;
use crate::store::keys::KeyHash;
use crate::store::{Store, StoreError};

/// Valid keys: those of the settings, which work without the database, and a cache of stored ones.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyCache {
    pub(crate) bootstrap: Arc<[KeyHash]>,
    found: Cache<KeyHash, Arc<Grant>>,
    pub(crate) hashes: KeyHashes,
    /// Used while the database does not answer.
    remembered: Cache<KeyHash, Arc<Grant>>,
    pub(crate) sessions: SessionCache,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

impl KeyCache {
    /// Returns a cache for the keys in `store`, with `bootstrap` keys that have every scope.
    #[must_use]
    pub fn new(store: Store, clock: Clock, bootstrap: &[SecretString]) -> Self {
        Self {
            bootstrap: bootstrap.iter().map(|key| KeyHash::of(key.expose_secret())).collect(),
            found: cache(CACHED_FOR),
            remembered: cache(CACHED_IN_AN_OUTAGE),
            sessions: SessionCache::new(),
            hashes: KeyHashes::new(store.clone()),
            store,
            clock,
        }
    }

    /// Empties the cache, so that a key revoked by this process ends at once.
    pub fn clear(&self) {
        self.found.invalidate_all();
        self.remembered.invalidate_all();
    }

    /// Returns the grant of a key, if it is cached or of the settings.
    pub(crate) fn recall_key(&self, key: PresentedKey) -> Option<Result<Arc<Grant>, Problem>> {
        if self.is_bootstrap(key.hash) {
            return Some(Ok(Grant::of_settings()));
        }
        if !key.has_shape {
            return Some(Err(invalid_credential("This is no key of ours.")));
        }
        self.recall_stored(key.hash)
    }

    /// Returns the grant of the stored key with this hash, if it is cached.
    pub(crate) fn recall_stored(&self, hash: KeyHash) -> Option<Result<Arc<Grant>, Problem>> {
        self.found.get(&hash).map(|grant| self.still_valid(grant))
    }

    /// Looks up the grant of a key in the database. With `wary`, for an address that failed often, one
    /// query checks the credentials of many requests first.
    pub(crate) async fn look_up_key(
        &self,
        key: PresentedKey,
        wary: bool,
    ) -> Result<Arc<Grant>, Problem> {
        if wary && !self.hashes.hold(key.hash).await? {
            return Err(invalid_credential("There is no such key."));
        }
        self.look_up_stored(key.hash).await
    }

    /// Looks up the grant of the stored key with this hash.
    pub(crate) async fn look_up_stored(&self, hash: KeyHash) -> Result<Arc<Grant>, Problem> {
        let row = match self.store.find_key(hash).await {
            Ok(row) => row,
            Err(error) => {
                let away = matches!(error, StoreError::Unavailable(_));
                let grant = self.remembered.get(&hash).filter(|_| away).ok_or(error)?;
                return self.still_valid(grant);
            }
        };
        self.remembered.invalidate(&hash);
        let Some(row) = row else { return Err(invalid_credential("There is no such key.")) };
        if row.revoked_at.is_some() {
            return Err(invalid_credential("This key was revoked."));
        }
        let (id, last_used_at) = (row.id, row.last_used_at);
        let grant = self.still_valid(Arc::new(Grant::from(row)))?;
        self.found.insert(hash, Arc::clone(&grant));
        self.remembered.insert(hash, Arc::clone(&grant));
        self.record_use(id, last_used_at);
        Ok(grant)
    }

    /// Returns true for a key of the settings. Compares all of them, in constant time.
    pub(crate) fn is_bootstrap(&self, hash: KeyHash) -> bool {
        self.bootstrap.iter().fold(false, |found, key| found | bool::from(key.0.ct_eq(&hash.0)))
    }

    fn still_valid(&self, grant: Arc<Grant>) -> Result<Arc<Grant>, Problem> {
        if grant.expires_at().is_some_and(|at| at <= self.clock.now()) {
            return Err(invalid_credential("This key has expired."));
        }
        Ok(grant)
    }

    /// Records the use of a key off the request's path. A failure does not affect the request.
    fn record_use(&self, id: Uuid, last_used_at: Option<DateTime<Utc>>) {
        let now = self.clock.now();
        let stale = now - USE_PRECISION;
        if last_used_at.is_some_and(|at| at > stale) {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.record_key_use(id, now, stale).await {
                tracing::debug!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "use of a key not recorded"
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Connector, read_pool};
    use crate::store::keys::Scope;
    use crate::store::keys::generate_key;
    use chrono::TimeDelta;

    /// A port that nobody listens on: connections to it are refused at once.
    const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";

    #[tokio::test(start_paused = true)]
    async fn cached_key_is_valid_while_the_database_is_away() {
        let store = Store::new(read_pool(NOBODY.parse::<Connector>().unwrap()));
        let clock = Clock::fixed(DateTime::UNIX_EPOCH);
        let ring = KeyCache::new(store, clock.clone(), &[]);
        let (known, stranger) = (generate_key(), generate_key());
        let (known, stranger) = (PresentedKey::of(&known), PresentedKey::of(&stranger));
        let expires_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(1);
        let grant = Grant::of_test(vec![Scope::Analytics], expires_at);
        ring.remembered.insert(known.hash, Arc::new(grant));
        assert!(
            ring.look_up_key(known, false).await.is_ok_and(|grant| grant.allows(Scope::Analytics))
        );
        assert!(ring.look_up_key(stranger, false).await.is_err(), "it is not cached");
        clock.set(DateTime::UNIX_EPOCH + TimeDelta::minutes(1));
        assert!(ring.look_up_key(known, false).await.is_err(), "it has expired");
        clock.set(DateTime::UNIX_EPOCH);
        ring.clear();
        assert!(ring.look_up_key(known, false).await.is_err(), "the cache is empty");
    }
}
