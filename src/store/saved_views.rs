//! Saved views: named filters of a key.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, query, query_as};
use uuid::Uuid;

use super::{Store, StoreError};

/// Most views of one key.
pub const MAX_VIEWS: i64 = 100;

/// Saved view.
#[derive(Clone, Debug)]
pub struct ViewRow {
    /// Name, unique for its key.
    pub name: String,
    /// Page that it belongs to; `None` is any.
    pub place: Option<String>,
    /// Filters as JSON.
    pub query: String,
    /// Time of the last save.
    pub updated_at: DateTime<Utc>,
}

/// Returns the stored owner; the nil UUID is the key in the settings, which has no ID.
fn owner(key: Option<Uuid>) -> Uuid {
    key.unwrap_or_default()
}

impl Store {
    /// Lists the views of a key by name; `None` is the key in the settings.
    pub async fn list_views(&self, key: Option<Uuid>) -> Result<Vec<ViewRow>, StoreError> {
        let rows = query_as!(
            ViewRow,
            "SELECT name, place, query, updated_at
             FROM saved_views
             WHERE key_id = $1
             ORDER BY name
             LIMIT $2",
            owner(key),
            MAX_VIEWS
        );
        Ok(rows.fetch_all(&self.pool).await?)
    }

    /// Saves a view, or replaces the one with its name; `false` if the key has too many.
    pub async fn save_view(&self, key: Option<Uuid>, view: &ViewRow) -> Result<bool, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        // Two concurrent requests would both see room for the last view.
        query!(
            "SELECT pg_advisory_xact_lock(hashtext('verbatim views'), hashtext($1))",
            owner(key).to_string()
        )
        .fetch_one(&mut *transaction)
        .await?;
        let done = query!(
            "INSERT INTO saved_views (key_id, name, place, query, updated_at)
             SELECT $1, $2, $3, $4, $5
             WHERE (SELECT count(*) FROM saved_views WHERE key_id = $1 AND name <> $2) < $6
             ON CONFLICT (key_id, name) DO UPDATE
             SET place = EXCLUDED.place,
                 query = EXCLUDED.query,
                 updated_at = EXCLUDED.updated_at",
            owner(key),
            view.name,
            view.place,
            view.query,
            view.updated_at,
            MAX_VIEWS
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(done.rows_affected() > 0)
    }

    /// Deletes a view; `false` if the key has none with this name.
    pub async fn delete_view(&self, key: Option<Uuid>, name: &str) -> Result<bool, StoreError> {
        let done =
            query!("DELETE FROM saved_views WHERE key_id = $1 AND name = $2", owner(key), name)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected() > 0)
    }
}
