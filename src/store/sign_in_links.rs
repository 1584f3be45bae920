//! One-time sign-in links for browsers. Only the SHA-256 of a token is stored.
//!
//! Sessions of links belong to a key that is created with the first link. It has every scope and a
//! random hash, so nobody can send it. It is listed and revoked like any other key.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, query, query_scalar};
use uuid::Uuid;

use super::key_changes::LOCK_KEYS;
use super::keys::{KeyHash, Scope, generate, has_shape};
use super::{Store, StoreError};

/// Lifetime of an unused link.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// Retention of an ended link, so an error can name the reason.
const RETENTION: TimeDelta = TimeDelta::days(1);
/// Prefix of link tokens.
const PREFIX: &str = "vbl_";
/// Name of the key that sessions of links belong to.
const KEY_NAME: &str = "One-time links (verbatim open)";

/// Generates the token of a link from 256 random bits.
#[must_use]
pub fn generate_link_token() -> String {
    generate(PREFIX)
}

/// Reports whether a text has the form of a link's token.
#[must_use]
pub fn has_link_token_form(text: &str) -> bool {
    has_shape(text, PREFIX)
}

/// Result of using a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// Valid, and now used: the session belongs to the key with this hash.
    ByKey(KeyHash),
    /// Already used.
    Used,
    /// Not used within its lifetime.
    Expired,
    /// Not found.
    Unknown,
}

impl Store {
    /// Stores a link that is valid for [`LINK_LIFETIME`]. If there is no key for sessions of links,
    /// creates it with the ID `key_id`.
    pub async fn insert_sign_in_link(
        &self,
        token: KeyHash,
        key_id: Uuid,
        at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(LOCK_KEYS).execute(&mut *transaction).await?;
        let known = query_scalar!(
            r#"
            SELECT key_sha256
            FROM api_keys
            WHERE of_links AND revoked_at IS NULL
            ORDER BY created_at, id
            LIMIT 1
            "#
        )
        .fetch_optional(&mut *transaction)
        .await?;
        let key = if let Some(key) = known {
            key
        } else {
            let key = rand::random::<[u8; 32]>().to_vec();
            query!(
                r#"
                INSERT INTO api_keys (id, name, key_sha256, scopes, created_at, of_links)
                VALUES ($1, $2, $3, $4, $5, true)
                "#,
                key_id,
                KEY_NAME,
                &key,
                &[Scope::Admin.as_str().to_owned()],
                at
            )
            .execute(&mut *transaction)
            .await?;
            key
        };
        query!("DELETE FROM sign_in_links WHERE expires_at <= $1", at - RETENTION)
            .execute(&mut *transaction)
            .await?;
        query!(
            r#"
            INSERT INTO sign_in_links (token_sha256, key_sha256, created_at, expires_at)
            VALUES ($1, $2, $3, $4)
            "#,
            &token.0[..],
            &key,
            at,
            at + LINK_LIFETIME
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Uses a link, if it is valid.
    pub async fn redeem_sign_in_link(
        &self,
        token: KeyHash,
        at: DateTime<Utc>,
    ) -> Result<Redeemed, StoreError> {
        let key = query_scalar!(
            r#"
            UPDATE sign_in_links
            SET used_at = $2
            WHERE token_sha256 = $1 AND used_at IS NULL AND expires_at > $2
            RETURNING key_sha256
            "#,
            &token.0[..],
            at
        )
        .fetch_optional(&self.pool)
        .await?;
        if let Some(key) = key.and_then(|key| key.try_into().ok()) {
            return Ok(Redeemed::ByKey(KeyHash(key)));
        }
        let is_used = query_scalar!(
            r#"SELECT used_at IS NOT NULL AS "is_used!" FROM sign_in_links WHERE token_sha256 = $1"#,
            &token.0[..]
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(match is_used {
            Some(true) => Redeemed::Used,
            Some(false) => Redeemed::Expired,
            None => Redeemed::Unknown,
        })
    }
}
