//! Browser sessions in use, and their cache.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use moka::sync::Cache;

use super::lifetimes::{CACHED_FOR, CACHED_IN_AN_OUTAGE, cache};
use crate::store::browser_sessions::BrowserSessionRow;
use crate::store::keys::KeyHash;

/// A browser session in use.
#[derive(Debug)]
pub(crate) struct Session {
    /// Hash of its token.
    pub(crate) hash: KeyHash,
    /// Stored row.
    pub(crate) row: BrowserSessionRow,
}

impl Session {
    /// Returns true once the session has not been used for too long.
    pub(crate) fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.row.idle_expires_at() <= now
    }
}

/// Cache of sessions, with the lifetimes of the cache of keys.
#[derive(Clone, Debug)]
pub(crate) struct SessionCache {
    found: Cache<KeyHash, Arc<Session>>,
    /// Used while the database does not answer.
    remembered: Cache<KeyHash, Arc<Session>>,
}

impl SessionCache {
    pub(crate) fn new() -> Self {
        Self { found: cache(CACHED_FOR), remembered: cache(CACHED_IN_AN_OUTAGE) }
    }

    /// Returns a session that was found a moment ago.
    pub(crate) fn get(&self, hash: KeyHash) -> Option<Arc<Session>> {
        self.found.get(&hash)
    }

    /// Returns a session that was found before the database stopped to answer.
    pub(crate) fn get_in_an_outage(&self, hash: KeyHash) -> Option<Arc<Session>> {
        self.remembered.get(&hash)
    }

    pub(crate) fn insert(&self, session: &Arc<Session>) {
        self.found.insert(session.hash, Arc::clone(session));
        self.remembered.insert(session.hash, Arc::clone(session));
    }

    pub(crate) fn remove(&self, hash: KeyHash) {
        self.found.invalidate(&hash);
        self.remembered.invalidate(&hash);
    }
}
