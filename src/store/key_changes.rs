//! Creates and revokes keys, one change at a time.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, query, query_scalar};
use uuid::Uuid;

use super::keys::{NewKey, Scope, each_once};
use super::{Store, StoreError};

/// Serialises changes of keys, so no key is created by a key that is being revoked.
pub(super) const LOCK_KEYS: &str = "SELECT pg_advisory_xact_lock(hashtext('verbatim keys'))";

/// Request to revoke a key.
#[derive(Clone, Copy, Debug)]
pub struct Revocation<'a> {
    /// Key to revoke.
    pub id: Uuid,
    /// Agents that the caller sees; `None` is every agent.
    pub visible: Option<&'a [String]>,
    /// The caller's key; `None` is the key in the settings, or the command line.
    pub caller: Option<Uuid>,
    /// Keys that it created stay valid.
    pub keep_made: bool,
    /// Current time.
    pub at: DateTime<Utc>,
}

/// Result of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// Number of revoked keys: the key and those that it created.
    Yes(usize),
    /// No such key is visible to the caller.
    NotFound,
    /// A key that sees more than the caller created it.
    NotAllowed,
    /// The revocation would include the caller's own key.
    WouldEndCaller,
}

impl Store {
    /// Stores a new key; `false` if the key that creates it has been revoked.
    pub async fn insert_key(&self, key: &NewKey<'_>) -> Result<bool, StoreError> {
        let scopes = Scope::ALL.into_iter().filter(|scope| key.scopes.contains(scope));
        let scopes: Vec<_> = scopes.map(|scope| scope.as_str().to_owned()).collect();
        let agent_ids = key.agent_ids.map(<[_]>::to_vec).map(each_once);
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(LOCK_KEYS).execute(&mut *transaction).await?;
        let done = query!(
            r#"
            INSERT INTO api_keys (
                id, name, key_sha256, scopes, agent_ids, created_at, expires_at, made_by
            )
            SELECT $1, $2, $3, $4, $5, $6, $7, $8
            WHERE $8::uuid IS NULL
                OR EXISTS (SELECT FROM api_keys WHERE id = $8 AND revoked_at IS NULL)
            "#,
            key.id,
            key.name,
            &key.hash.0[..],
            &scopes,
            agent_ids.as_deref() as _,
            key.created_at,
            key.expires_at,
            key.made_by
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(done.rows_affected() > 0)
    }

    /// Revokes a key and, unless `keep_made`, all keys that it created, and those that they
    /// created. Keys that were revoked already keep their time. A caller bound to agents can revoke
    /// its own key and keys created by keys that see no more than it does.
    pub async fn revoke_key(&self, wanted: &Revocation<'_>) -> Result<Revoked, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(LOCK_KEYS).execute(&mut *transaction).await?;
        let key = query!(
            r#"
            SELECT
                $2::text[] IS NULL OR k.id = $3 OR COALESCE(m.agent_ids <@ $2, false) AS "allowed!"
            FROM api_keys AS k
            LEFT JOIN api_keys AS m ON m.id = k.made_by
            WHERE k.id = $1 AND ($2::text[] IS NULL OR k.agent_ids <@ $2)
            "#,
            wanted.id,
            wanted.visible,
            wanted.caller
        )
        .fetch_optional(&mut *transaction)
        .await?;
        match key {
            None => return Ok(Revoked::NotFound),
            Some(key) if !key.allowed => return Ok(Revoked::NotAllowed),
            Some(_) => {}
        }
        let ids = query_scalar!(
            r#"
            WITH RECURSIVE made (id) AS (
                SELECT $1::uuid
                UNION
                SELECT k.id
                FROM made
                JOIN api_keys AS k ON k.made_by = made.id
                WHERE NOT $2
            )
            SELECT id AS "id!" FROM made
            "#,
            wanted.id,
            wanted.keep_made
        )
        .fetch_all(&mut *transaction)
        .await?;
        if wanted.caller.is_some_and(|caller| caller != wanted.id && ids.contains(&caller)) {
            return Ok(Revoked::WouldEndCaller);
        }
        query!(
            "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE id = ANY ($1)",
            &ids,
            wanted.at
        )
        .execute(&mut *transaction)
        .await?;
        // Nobody can read them any more, and a filter may contain a text that somebody said.
        query!("DELETE FROM saved_views WHERE key_id = ANY ($1)", &ids)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(Revoked::Yes(ids.len()))
    }
}
