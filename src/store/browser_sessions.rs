//! Browser sessions: tokens, of which only the SHA-256 is stored, and the key of each session.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use sqlx::{Connection as _, query, query_as};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;

use super::keys::{KeyHash, generate, has_shape};
use super::{Store, StoreError};

/// Time without use after which a session ends.
pub const IDLE_LIMIT: TimeDelta = TimeDelta::hours(12);
/// Longest lifetime of a session.
pub const MAX_SESSION: TimeDelta = TimeDelta::days(7);
/// Most sessions of one key, and of all keys in the settings together. Sign-in ends the least
/// recently used one. 1,000 screens can share a key.
const MAX_BY_KEY: i64 = 1_000;
/// Prefix of session tokens. Keys have another one, so neither is accepted as the other.
const PREFIX: &str = "vbs_";
/// Serialises sign-ins: two that delete the same rows in different orders would deadlock.
const LOCK_SIGN_INS: &str = "SELECT pg_advisory_xact_lock(hashtext('verbatim browser sessions'))";

/// Limits the connections that wait for the lock: they are outside the pool.
static SIGN_IN_PERMITS: Semaphore = Semaphore::const_new(1);

/// Token of a browser session: 256 random bits, as text.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    /// Generates a token.
    #[must_use]
    pub fn generate() -> Self {
        Self(generate(PREFIX))
    }

    /// Parses a token; `None` for a text of another form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        has_shape(text, PREFIX).then(|| Self(text.to_owned()))
    }

    /// Returns the token for the cookie.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the hash that identifies the stored session.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// Returns the MAC that ties the session to a key in the settings.
    #[must_use]
    pub fn mac(&self, key: KeyHash) -> SettingsKeyMac {
        SettingsKeyMac(hmac(self.0.as_bytes(), &key.0))
    }
}

#[expect(clippy::expect_used, reason = "HMAC accepts a key of any length")]
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC accepts a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// HMAC of a key in the settings, with the session token as the HMAC key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingsKeyMac(pub [u8; 32]);

impl SettingsKeyMac {
    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Key of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKey {
    /// Key in the settings.
    Settings(SettingsKeyMac),
    /// Stored key with this hash.
    Stored(KeyHash),
}

/// New session.
#[derive(Clone, Copy, Debug)]
pub struct NewBrowserSession {
    /// Hash of the token.
    pub hash: KeyHash,
    /// Key of the session.
    pub key: SessionKey,
    /// Current time.
    pub at: DateTime<Utc>,
    /// Latest end of the session.
    pub expires_at: DateTime<Utc>,
    /// Session of the same browser, which the new one replaces.
    pub replaces: Option<KeyHash>,
}

/// Stored session.
#[derive(Clone, Copy, Debug)]
pub struct BrowserSessionRow {
    /// Key of the session.
    pub key: SessionKey,
    /// Time of its last use, to the minute.
    pub last_used_at: DateTime<Utc>,
    /// Latest end of the session.
    pub expires_at: DateTime<Utc>,
}

impl BrowserSessionRow {
    /// Returns the end of the session without further use.
    #[must_use]
    pub fn idle_expires_at(&self) -> DateTime<Utc> {
        self.expires_at.min(self.last_used_at + IDLE_LIMIT)
    }
}

struct Row {
    key_sha256: Option<Vec<u8>>,
    settings_key_mac: Option<Vec<u8>>,
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl Store {
    /// Stores a session. Deletes ended sessions, and the least recently used ones of a key at its
    /// limit.
    pub async fn insert_browser_session(&self, new: &NewBrowserSession) -> Result<(), StoreError> {
        let (stored, mac) = match &new.key {
            SessionKey::Stored(hash) => (Some(&hash.0[..]), None),
            SessionKey::Settings(mac) => (None, Some(&mac.0[..])),
        };
        // Never closed, so this is always a permit.
        let _permit = SIGN_IN_PERMITS.acquire().await;
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(LOCK_SIGN_INS).execute(&mut *transaction).await?;
        query!(
            r#"
            DELETE FROM browser_sessions
            WHERE expires_at <= $1 OR last_used_at <= $2 OR token_sha256 = $3
            "#,
            new.at,
            new.at - IDLE_LIMIT,
            new.replaces.as_ref().map(|hash| &hash.0[..])
        )
        .execute(&mut *transaction)
        .await?;
        query!(
            r#"
            DELETE FROM browser_sessions
            WHERE token_sha256 IN (
                SELECT token_sha256
                FROM browser_sessions
                WHERE key_sha256 IS NOT DISTINCT FROM $1
                ORDER BY last_used_at DESC, token_sha256
                OFFSET $2
            )
            "#,
            stored,
            MAX_BY_KEY - 1
        )
        .execute(&mut *transaction)
        .await?;
        query!(
            r#"
            INSERT INTO browser_sessions (
                token_sha256, key_sha256, settings_key_mac, created_at, last_used_at, expires_at
            )
            VALUES ($1, $2, $3, $4, $4, $5)
            "#,
            &new.hash.0[..],
            stored,
            mac,
            new.at,
            new.expires_at
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Finds the session by the hash of its token.
    pub async fn find_browser_session(
        &self,
        hash: KeyHash,
    ) -> Result<Option<BrowserSessionRow>, StoreError> {
        let row = query_as!(
            Row,
            r#"
            SELECT key_sha256, settings_key_mac, last_used_at, expires_at
            FROM browser_sessions
            WHERE token_sha256 = $1
            "#,
            &hash.0[..]
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.and_then(|row| {
            let hash = row.key_sha256.and_then(|hash| hash.try_into().ok());
            let mac = row.settings_key_mac.and_then(|mac| mac.try_into().ok());
            let key = match (hash, mac) {
                (Some(hash), _) => SessionKey::Stored(KeyHash(hash)),
                (None, Some(mac)) => SessionKey::Settings(SettingsKeyMac(mac)),
                // Excluded by the table's constraints.
                (None, None) => return None,
            };
            let Row { last_used_at, expires_at, .. } = row;
            Some(BrowserSessionRow { key, last_used_at, expires_at })
        }))
    }

    /// Records the use of a session, unless a use after `stale` is recorded already.
    pub async fn touch_browser_session(
        &self,
        hash: KeyHash,
        at: DateTime<Utc>,
        stale: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        query!(
            r#"
            UPDATE browser_sessions
            SET last_used_at = $2
            WHERE token_sha256 = $1 AND last_used_at <= $3
            "#,
            &hash.0[..],
            at,
            stale
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Deletes a session.
    pub async fn delete_browser_session(&self, hash: KeyHash) -> Result<(), StoreError> {
        query!("DELETE FROM browser_sessions WHERE token_sha256 = $1", &hash.0[..])
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keys::{generate_key, has_key_form};

    #[test]
    fn tokens_and_keys_are_not_interchangeable() {
        let token = SessionToken::generate();
        assert_eq!(SessionToken::parse(token.expose()), Some(token.clone()));
        assert!(!has_key_form(token.expose()));
        assert_eq!(SessionToken::parse(&generate_key()), None);
        assert!(!format!("{token:?}").contains(token.expose()), "debug output hides the token");
    }

    #[test]
    fn mac_depends_on_token_and_key() {
        let (token, other) = (SessionToken::generate(), SessionToken::generate());
        let (key, another) = (KeyHash::of("key"), KeyHash::of("another"));
        assert!(token.mac(key).matches(&token.mac(key)));
        assert!(!token.mac(key).matches(&token.mac(another)));
        assert!(!token.mac(key).matches(&other.mac(key)));
    }
}
