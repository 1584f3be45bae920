//! Which keys are let in, and what each allows. Browser sessions stand for keys: `identity` has them.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use moka::sync::Cache;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::identity::SessionCache;
use super::key_hashes::KeyHashes;
use crate::clock::Clock;
use crate::config::Secret;
use crate::problem::{Code, Problem};
use crate::store::keys::{KeyHash, KeyRow, Scope, each_once, looks_like_key};
use crate::store::{Store, StoreError};

/// How long a key that was found is believed: so long may a key that was revoked elsewhere live.
pub(super) const BELIEVED_FOR: Duration = Duration::from_secs(5);
/// How long a key that was found is believed while the database does not answer, so that an outage
/// can be watched with the key for figures. Whatever else a key is for needs the database anyway.
pub(super) const BELIEVED_IN_AN_OUTAGE: Duration = Duration::from_hours(1);
/// Most keys that are remembered.
const MOST_KEYS: u64 = 10_000;
/// The use of a key is noted to the minute: a write for each read would cost more than the read.
pub(super) const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The keys that are let in: those of the settings, which work without the database, and those
/// in it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keyring {
    pub(super) bootstrap: Arc<[KeyHash]>,
    found: Cache<KeyHash, Arc<Grant>>,
    pub(super) hashes: KeyHashes,
    /// For as long as the database does not answer.
    remembered: Cache<KeyHash, Arc<Grant>>,
    pub(super) sessions: SessionCache,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// Key of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PresentedKey {
    pub(super) hash: KeyHash,
    /// True for the shape of a stored key.
    has_shape: bool,
}

impl PresentedKey {
    /// Hashes a key.
    pub(super) fn of(key: &str) -> Self {
        Self { hash: KeyHash::of(key), has_shape: looks_like_key(key) }
    }
}

/// What a key allows.
#[derive(Debug)]
pub(super) struct Grant {
    /// `None` is the key of the settings.
    id: Option<Uuid>,
    /// What its owner calls it; `None` is the key of the settings.
    name: Option<String>,
    scopes: Vec<Scope>,
    agents: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Returns the grant of a key of the settings.
    pub(super) fn of_settings() -> Arc<Self> {
        let scopes = vec![Scope::Admin];
        Arc::new(Self { id: None, name: None, scopes, agents: None, expires_at: None })
    }

    /// The name of the key; `None` is the key of the settings.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The scopes of the key.
    pub(super) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// `admin` is all of it.
    pub(super) fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// The agents that the key is bound to; `None` is every agent.
    pub(super) fn agents(&self) -> Option<&[String]> {
        self.agents.as_deref()
    }

    /// The key's id; `None` is the one of the settings.
    pub(super) fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// When the key stops to be valid.
    pub(super) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }
}

impl Keyring {
    /// A ring of the keys in `store`, and of `bootstrap` ones that have every scope.
    #[must_use]
    pub fn new(store: Store, clock: Clock, bootstrap: &[Secret]) -> Self {
        Self {
            bootstrap: bootstrap.iter().map(|key| KeyHash::of(key.expose())).collect(),
            found: cache(BELIEVED_FOR),
            remembered: cache(BELIEVED_IN_AN_OUTAGE),
            sessions: SessionCache::new(),
            hashes: KeyHashes::new(store.clone()),
            store,
            clock,
        }
    }

    /// Forgets what was found, so that what was revoked in this process ends at once.
    pub fn forget(&self) {
        self.found.invalidate_all();
        self.remembered.invalidate_all();
    }

    /// Returns the grant of a key, if it is cached or of the settings.
    pub(super) fn recall_key(&self, key: PresentedKey) -> Option<Result<Arc<Grant>, Problem>> {
        if self.is_bootstrap(key.hash) {
            return Some(Ok(Grant::of_settings()));
        }
        if !key.has_shape {
            return Some(Err(refused("This is no key of ours.")));
        }
        self.recall_stored(key.hash)
    }

    /// Returns the grant of the stored key with this hash, if it is cached.
    pub(super) fn recall_stored(&self, hash: KeyHash) -> Option<Result<Arc<Grant>, Problem>> {
        self.found.get(&hash).map(|grant| self.still_valid(grant))
    }

    /// Looks up the grant of a key in the database. With `wary`, for an address that failed often, one
    /// query checks the credentials of many requests first.
    pub(super) async fn look_up_key(
        &self,
        key: PresentedKey,
        wary: bool,
    ) -> Result<Arc<Grant>, Problem> {
        if wary && !self.hashes.hold(key.hash).await? {
            return Err(refused("There is no such key."));
        }
        self.look_up_stored(key.hash).await
    }

    /// Looks up the grant of the stored key with this hash.
    pub(super) async fn look_up_stored(&self, hash: KeyHash) -> Result<Arc<Grant>, Problem> {
        let row = match self.store.find_key(hash).await {
            Ok(row) => row,
            Err(error) => {
                let away = matches!(error, StoreError::Unavailable(_));
                let grant = self.remembered.get(&hash).filter(|_| away).ok_or(error)?;
                return self.still_valid(grant);
            }
        };
        self.remembered.invalidate(&hash);
        let Some(row) = row else { return Err(refused("There is no such key.")) };
        if row.revoked_at.is_some() {
            return Err(refused("This key was revoked."));
        }
        let (id, last_used_at) = (row.id, row.last_used_at);
        let grant = self.still_valid(Arc::new(Grant::from(row)))?;
        self.found.insert(hash, Arc::clone(&grant));
        self.remembered.insert(hash, Arc::clone(&grant));
        self.note_use(id, last_used_at);
        Ok(grant)
    }

    // A hash tells nothing of its key, so comparing hashes in constant time is a second lock on
    // the same door. All are compared, whichever fits.
    pub(super) fn is_bootstrap(&self, hash: KeyHash) -> bool {
        self.bootstrap.iter().fold(false, |found, key| found | bool::from(key.0.ct_eq(&hash.0)))
    }

    fn still_valid(&self, grant: Arc<Grant>) -> Result<Arc<Grant>, Problem> {
        if grant.expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(refused("This key has expired."));
        }
        Ok(grant)
    }

    /// Off the request's path: nobody waits for it, and a reader is not refused if it fails.
    fn note_use(&self, id: Uuid, last_used_at: Option<DateTime<Utc>>) {
        let now = self.clock.now();
        let stale = now - NOTED_EVERY;
        if last_used_at.is_some_and(|at| at > stale) {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.touch_key(id, now, stale).await {
                tracing::debug!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "use of a key not noted"
                );
            }
        });
    }
}

/// Makes a cache whose entries live for `live_for`.
pub(super) fn cache<T: Send + Sync + 'static>(live_for: Duration) -> Cache<KeyHash, Arc<T>> {
    Cache::builder().max_capacity(MOST_KEYS).time_to_live(live_for).build()
}

impl From<KeyRow> for Grant {
    fn from(row: KeyRow) -> Self {
        Self {
            id: Some(row.id),
            name: Some(row.name),
            // A scope of a later version means nothing to this one.
            scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            // Whatever a row says: earlier versions kept an agent as often as it was named.
            agents: row.agent_ids.map(each_once),
            expires_at: row.expires_at,
        }
    }
}

/// Answer to a wrong, revoked or expired credential.
pub(super) fn refused(detail: &'static str) -> Problem {
    Problem::new(Code::InvalidKey, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::{Connector, read_pool};
    use crate::store::keys::generate_key;

    /// A port that nobody listens on: connections to it are refused at once.
    const NOBODY: &str = "postgres://verbatim@127.0.0.1:1/none";

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_found_is_believed_while_the_database_is_away() {
        let store = Store::new(read_pool(NOBODY.parse::<Connector>().unwrap()));
        let clock = Clock::fixed(DateTime::UNIX_EPOCH);
        let ring = Keyring::new(store, clock.clone(), &[]);
        let (known, stranger) = (generate_key(), generate_key());
        let (known, stranger) = (PresentedKey::of(&known), PresentedKey::of(&stranger));
        let grant = Grant {
            id: None,
            name: None,
            scopes: vec![Scope::Analytics],
            agents: None,
            expires_at: Some(DateTime::UNIX_EPOCH + TimeDelta::minutes(1)),
        };
        ring.remembered.insert(known.hash, Arc::new(grant));
        assert!(
            ring.look_up_key(known, false).await.is_ok_and(|grant| grant.allows(Scope::Analytics))
        );
        assert!(ring.look_up_key(stranger, false).await.is_err(), "nobody knows it");
        clock.set(DateTime::UNIX_EPOCH + TimeDelta::minutes(1));
        assert!(ring.look_up_key(known, false).await.is_err(), "it has expired");
        clock.set(DateTime::UNIX_EPOCH);
        ring.forget();
        assert!(ring.look_up_key(known, false).await.is_err(), "it is forgotten");
    }
}
