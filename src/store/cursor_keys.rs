//! Keys that seal cursors, shared by every service on the database.

use std::fmt;

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError};

/// Bytes of a secret.
const SECRET_BYTES: usize = 32;
/// Lets one service at a time add a key.
const LOCK_CURSOR_KEYS: &str = "SELECT pg_advisory_xact_lock(hashtext('verbatim cursor keys'))";

/// Key that seals cursors.
#[derive(Clone)]
pub struct CursorKey {
    /// Key ID, which each sealed cursor contains.
    pub id: Uuid,
    /// 256 random bits.
    pub secret: [u8; SECRET_BYTES],
    /// Time of creation.
    pub created_at: DateTime<Utc>,
}

impl CursorKey {
    /// Generates a key from 256 random bits.
    #[must_use]
    pub fn generate(created_at: DateTime<Utc>) -> Self {
        Self { id: Uuid::new_v4(), secret: rand::random(), created_at }
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CursorKey")
            .field("id", &self.id)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

/// Age limits of keys.
#[derive(Clone, Copy, Debug)]
pub struct CursorKeyAges {
    /// Keys created at or before this time no longer seal.
    pub seals_after: DateTime<Utc>,
    /// Keys created at or before this time no longer open.
    pub opens_after: DateTime<Utc>,
}

impl Store {
    /// Returns the keys that open cursors, newest first; the newest seals. Adds a key if the newest
    /// is too old or missing. If several services try, one adds it. If none can be added, for
    /// example in a read-only database, the present keys are used for longer, or without any a key
    /// that is not stored.
    pub async fn cursor_keys(
        &self,
        ages: CursorKeyAges,
        now: DateTime<Utc>,
    ) -> Result<Vec<CursorKey>, StoreError> {
        let mut pooled = self.pool.acquire().await?;
        let keys = load(&mut pooled, ages).await?;
        if can_seal(&keys, ages) {
            return Ok(keys);
        }
        let mut connection = pooled.detach();
        let added = add(&mut connection, ages, now).await;
        let _ = connection.close().await;
        match added {
            Err(error) if !keys.is_empty() => {
                tracing::warn!(%error, "cursor key not rotated; the previous key is used");
                Ok(keys)
            }
            Err(error) if is_read_only(&error) => {
                tracing::warn!(
                    %error,
                    "cursor key not stored; cursors are valid in this process only"
                );
                Ok(vec![CursorKey::generate(now)])
            }
            added => Ok(added?),
        }
    }
}

/// Reports whether a write failed because the database is read-only.
fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("25006")
}

/// Adds a key, unless another service has added one.
async fn add(
    connection: &mut PgConnection,
    ages: CursorKeyAges,
    now: DateTime<Utc>,
) -> Result<Vec<CursorKey>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(LOCK_CURSOR_KEYS).execute(&mut *transaction).await?;
    let mut keys = load(&mut transaction, ages).await?;
    if !can_seal(&keys, ages) {
        let new = CursorKey::generate(now);
        sqlx::query!(
            "INSERT INTO cursor_keys (id, secret, created_at) VALUES ($1, $2, $3)",
            new.id,
            &new.secret[..],
            new.created_at,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("DELETE FROM cursor_keys WHERE created_at <= $1", ages.opens_after)
            .execute(&mut *transaction)
            .await?;
        tracing::info!(cursor_key = %new.id, "cursor key added");
        keys.insert(0, new);
    }
    transaction.commit().await?;
    Ok(keys)
}

/// Reports whether the newest key may still seal.
fn can_seal(keys: &[CursorKey], ages: CursorKeyAges) -> bool {
    keys.first().is_some_and(|newest| newest.created_at > ages.seals_after)
}

async fn load(
    connection: &mut PgConnection,
    ages: CursorKeyAges,
) -> Result<Vec<CursorKey>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT id, secret, created_at
         FROM cursor_keys
         WHERE created_at > $1
         ORDER BY created_at DESC, id DESC",
        ages.opens_after,
    )
    .fetch_all(connection)
    .await?;
    // A constraint of the table ensures the length.
    let keys = rows.into_iter().filter_map(|row| {
        let secret = row.secret.try_into().ok()?;
        Some(CursorKey { id: row.id, secret, created_at: row.created_at })
    });
    Ok(keys.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_not_shown_in_debug_output() {
        let key =
            CursorKey { secret: [0xAB; SECRET_BYTES], ..CursorKey::generate(DateTime::UNIX_EPOCH) };
        let shown = format!("{key:?}");
        assert!(!shown.contains("171") && !shown.contains("ab, ab"), "{shown}");
    }
}
