//! Identity of a caller: the key that a request carries, or the browser session of its cookie.

use std::sync::Arc;

use crate::api::auth::credential::Credential;
use crate::api::auth::grant::Grant;
use crate::api::auth::key_cache::KeyCache;
use crate::api::auth::lifetimes::USE_PRECISION;
use crate::api::auth::refusal::invalid_credential;
use crate::api::auth::session_cache::Session;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::browser_sessions::{BrowserSessionRow, SessionKey, SessionToken};
use crate::store::keys::KeyHash;

/// Detail of the answer to a cookie whose session has ended or never existed.
const OVER: &str = "This browser session has ended. Sign in again.";

/// A caller whose credential is valid.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Rights of the key.
    pub(crate) grant: Arc<Grant>,
    /// Session of the cookie; `None` for a key in a header.
    pub(crate) session: Option<Arc<Session>>,
}

impl KeyCache {
    /// Returns the identity that a credential shows, if it is cached.
    pub(crate) fn recall(&self, credential: &Credential) -> Option<Result<Identity, Problem>> {
        match credential {
            Credential::Key(key) => self.recall_key(*key).map(|grant| grant.map(of_key)),
            Credential::Session(token) => {
                let session = self.sessions.get(token.hash())?;
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
    pub(crate) async fn look_up(
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
    pub(crate) fn forget_session(&self, hash: KeyHash) {
        self.sessions.remove(hash);
    }

    async fn look_up_session(&self, token: &SessionToken, wary: bool) -> Result<Identity, Problem> {
        let hash = token.hash();
        if wary && !self.hashes.hold(hash).await? {
            return Err(invalid_credential(OVER));
        }
        let session = match self.store.find_browser_session(hash).await {
            Ok(row) => row.map(|row| Arc::new(Session { hash, row })),
            Err(error) => {
                let away = matches!(error, StoreError::Unavailable(_));
                Some(self.sessions.get_in_an_outage(hash).filter(|_| away).ok_or(error)?)
            }
        };
        let Some(session) = session.filter(|session| !session.is_over(self.clock.now())) else {
            self.sessions.remove(hash);
            return Err(invalid_credential(OVER));
        };
        let grant = match session.row.key {
            SessionKey::Settings(_) => self.settings_grant(token, &session.row),
            SessionKey::Stored(key) => Some(self.look_up_stored(key).await?),
        };
        let Some(grant) = grant else {
            let changed =
                "The key of the settings has changed since this browser signed in. Sign in again.";
            return Err(invalid_credential(changed));
        };
        self.sessions.insert(&session);
        self.record_session_use(&session);
        Ok(Identity { grant, session: Some(session) })
    }

    /// Returns the grant of the settings' key, if the session belongs to one of them. Compares all.
    fn settings_grant(&self, token: &SessionToken, row: &BrowserSessionRow) -> Option<Arc<Grant>> {
        let SessionKey::Settings(mac) = row.key else { return None };
        let matches = |found, key: &KeyHash| found | token.mac(*key).matches(&mac);
        self.bootstrap.iter().fold(false, matches).then(Grant::of_settings)
    }

    /// Records the use of a session off the request's path, to the minute.
    fn record_session_use(&self, session: &Session) {
        let now = self.clock.now();
        let stale = now - USE_PRECISION;
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
