//! Identity of a caller: the key that a request carries, or the browser session of its cookie.

use std::sync::Arc;

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use moka::sync::Cache;

use super::cookie;
use super::keyring::{self, Grant, Keyring, NOTED_EVERY, PresentedKey, refused};
use crate::gate::Gate;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::browser_sessions::{BrowserSessionRow, SessionKey, SessionToken};
use crate::store::keys::KeyHash;

/// Detail of the answer to a cookie whose session has ended or never existed.
const OVER: &str = "This browser session has ended. Sign in again.";

/// Credential of a request.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// An API key, in a header.
    Key(PresentedKey),
    /// A browser session, in a cookie.
    Session(SessionToken),
}

impl Credential {
    /// Reads the credential of a request. A key in a header beats the cookie.
    pub(super) fn of(req: &HttpRequest, gate: &Gate) -> Option<Self> {
        if let Some(key) = super::caller::key_of(req.headers()) {
            return Some(Self::Key(PresentedKey::of(key)));
        }
        cookie::token(req.headers(), gate.is_https(req.head())).map(Self::Session)
    }
}

/// A caller whose credential is valid.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// Rights of the key.
    pub(super) grant: Arc<Grant>,
    /// Session of the cookie; `None` for a key in a header.
    pub(super) session: Option<Arc<Session>>,
}

/// A browser session in use.
#[derive(Debug)]
pub(super) struct Session {
    /// Hash of its token.
    pub(super) hash: KeyHash,
    /// Stored row.
    pub(super) row: BrowserSessionRow,
}

impl Session {
    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.row.idle_expires_at() <= now
    }
}

/// Cache of sessions, with the lifetimes of the cache of keys.
#[derive(Clone, Debug)]
pub(super) struct SessionCache {
    found: Cache<KeyHash, Arc<Session>>,
    /// Used while the database does not answer.
    remembered: Cache<KeyHash, Arc<Session>>,
}

impl SessionCache {
    pub(super) fn new() -> Self {
        Self {
            found: keyring::cache(keyring::BELIEVED_FOR),
            remembered: keyring::cache(keyring::BELIEVED_IN_AN_OUTAGE),
        }
    }

    fn insert(&self, session: &Arc<Session>) {
        self.found.insert(session.hash, Arc::clone(session));
        self.remembered.insert(session.hash, Arc::clone(session));
    }

    fn forget(&self, hash: KeyHash) {
        self.found.invalidate(&hash);
        self.remembered.invalidate(&hash);
    }
}

impl Keyring {
    /// Returns the identity that a credential shows, if it is cached.
    pub(super) fn recall(&self, credential: &Credential) -> Option<Result<Identity, Problem>> {
        match credential {
            Credential::Key(key) => self.recall_key(*key).map(|grant| grant.map(of_key)),
            Credential::Session(token) => {
                let session = self.sessions.found.get(&token.hash())?;
                // The database may have a later use.
                if session.is_over(self.clock.now()) {
                    return None;
                }
                let grant = match session.row.key {
                    SessionKey::Settings(_) => Ok(self.settings_grant(token, &session.row)?),
                    SessionKey::Stored(hash) => self.recall_stored(hash)?,
                };
                Some(grant.map(|grant| Identity { grant, session: Some(session) }))
            }
        }
    }

    /// Looks up the identity that a credential shows. With `wary`, for an address that failed often,
    /// one query checks the credentials of many requests first.
    pub(super) async fn look_up(
        &self,
        credential: &Credential,
        wary: bool,
    ) -> Result<Identity, Problem> {
        match credential {
            Credential::Key(key) => self.look_up_key(*key, wary).await.map(of_key),
            Credential::Session(token) => self.look_up_session(token, wary).await,
        }
    }

    /// Removes a deleted session from the cache.
    pub(super) fn forget_session(&self, hash: KeyHash) {
        self.sessions.forget(hash);
    }

    async fn look_up_session(&self, token: &SessionToken, wary: bool) -> Result<Identity, Problem> {
        let hash = token.hash();
        if wary && !self.hashes.hold(hash).await? {
            return Err(refused(OVER));
        }
        let session = match self.store.find_browser_session(hash).await {
            Ok(row) => row.map(|row| Arc::new(Session { hash, row })),
            Err(error) => {
                let away = matches!(error, StoreError::Unavailable(_));
                Some(self.sessions.remembered.get(&hash).filter(|_| away).ok_or(error)?)
            }
        };
        let Some(session) = session.filter(|session| !session.is_over(self.clock.now())) else {
            self.sessions.forget(hash);
            return Err(refused(OVER));
        };
        let grant = match session.row.key {
            SessionKey::Settings(_) => self.settings_grant(token, &session.row),
            SessionKey::Stored(key) => Some(self.look_up_stored(key).await?),
        };
        let Some(grant) = grant else {
            let changed =
                "The key of the settings has changed since this browser signed in. Sign in again.";
            return Err(refused(changed));
        };
        self.sessions.insert(&session);
        self.record_use(&session);
        Ok(Identity { grant, session: Some(session) })
    }

    /// Returns the grant of the settings' key, if the session belongs to one of them. Compares all.
    fn settings_grant(&self, token: &SessionToken, row: &BrowserSessionRow) -> Option<Arc<Grant>> {
        let SessionKey::Settings(mac) = row.key else { return None };
        let matches = |found, key: &KeyHash| found | token.mac(*key).matches(&mac);
        self.bootstrap.iter().fold(false, matches).then(Grant::of_settings)
    }

    /// Records the use of a session off the request's path, to the minute.
    fn record_use(&self, session: &Session) {
        let now = self.clock.now();
        let stale = now - NOTED_EVERY;
        if session.row.last_used_at > stale {
            return;
        }
        let (store, hash) = (self.store.clone(), session.hash);
        tokio::spawn(async move {
            if let Err(error) = store.touch_browser_session(hash, now, stale).await {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::debug!(error, "use of a browser session not recorded");
            }
        });
    }
}

fn of_key(grant: Arc<Grant>) -> Identity {
    Identity { grant, session: None }
}
