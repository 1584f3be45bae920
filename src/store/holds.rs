//! Holds, which exempt data from erasure and retention.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, query_as};
use uuid::Uuid;

use super::erase::{DELETING, Target};
use super::page::{Order, PageRequest};
use super::{Store, StoreError};

/// Stored hold.
#[derive(Clone, Debug)]
pub struct HoldRow {
    /// Hold ID.
    pub id: Uuid,
    /// Agent.
    pub agent_id: String,
    /// Our session ID; `None` is everything of the agent.
    pub session_id: Option<Uuid>,
    /// Sender's session ID.
    pub sender_session_id: Option<String>,
    /// Source that delivered the session.
    pub source: Option<String>,
    /// Start of the hold.
    pub created_at: DateTime<Utc>,
    /// Key that requested the hold, if it is visible to the caller.
    pub made_by: Option<Uuid>,
}

/// Result of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The hold has ended.
    Yes,
    /// There was no hold.
    NotHeld,
    /// A key that sees more than the caller requested the hold.
    NotAllowed,
}

/// Result of a request to hold.
#[derive(Clone, Debug)]
pub enum Held {
    /// On hold, possibly since earlier.
    Yes(HoldRow),
    /// Its erasure has begun.
    TooLate,
}

/// Lists holds. They are created by hand, so they are few enough to sort.
macro_rules! page_of_holds {
    ($order:tt, $beyond:tt, $store:ident, $visible:ident, $page:ident) => {{
        let (start_at, start_id) = $page.start();
        query_as!(
            HoldRow,
            r#"
            SELECT
                h.id,
                h.agent_id,
                h.session_id,
                s.sender_session_id AS "sender_session_id?",
                s.source AS "source?",
                h.created_at,
                m.id AS "made_by?"
            FROM holds AS h
            LEFT JOIN sessions AS s ON s.id = h.session_id
            LEFT JOIN api_keys AS m
                ON m.id = h.key_id AND ($1::text[] IS NULL OR m.agent_ids <@ $1)
            WHERE ($1::text[] IS NULL OR h.agent_id = ANY ($1))
                AND (h.created_at, h.id) "#
                + $beyond
                + r#" ($2, $3)
            ORDER BY h.created_at "#
                + $order
                + r#", h.id "#
                + $order
                + r#"
            LIMIT $4
            "#,
            $visible,
            start_at,
            start_id,
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

impl Store {
    /// Puts something on hold. An existing hold keeps its start, and becomes the hold of the
    /// caller's key if that sees at least as much as the key that requested it. `visible` are the
    /// agents that the caller sees.
    pub async fn hold(
        &self,
        target: Target<'_>,
        id: Uuid,
        at: DateTime<Utc>,
        key_id: Option<Uuid>,
        visible: Option<&[String]>,
    ) -> Result<Held, StoreError> {
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        if is_being_erased(&mut transaction, target).await? {
            return Ok(Held::TooLate);
        }
        insert(&mut transaction, target, id, at, key_id).await?;
        change_key(&mut transaction, target, key_id, visible).await?;
        let row = read(&mut transaction, target, visible).await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(Held::Yes(row))
    }

    /// Ends a hold. A caller bound to agents can only end holds requested by keys that see no more
    /// than it does.
    pub async fn release_hold(
        &self,
        target: Target<'_>,
        visible: Option<&[String]>,
    ) -> Result<Released, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM holds
             WHERE agent_id = $1
                 AND session_id IS NOT DISTINCT FROM $2
                 AND (
                     $3::text[] IS NULL
                     OR EXISTS (
                         SELECT FROM api_keys AS m WHERE m.id = holds.key_id AND m.agent_ids <@ $3
                     )
                 )",
            target.agent_id(),
            target.session_id(),
            visible,
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() > 0 {
            return Ok(Released::Yes);
        }
        let held = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT FROM holds WHERE agent_id = $1 AND session_id IS NOT DISTINCT FROM $2
             ) AS "held!""#,
            target.agent_id(),
            target.session_id(),
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(if held { Released::NotAllowed } else { Released::NotHeld })
    }

    /// Lists holds on `visible` agents by their start.
    pub async fn list_holds(
        &self,
        visible: Option<&[String]>,
        page: &PageRequest,
    ) -> Result<Vec<HoldRow>, StoreError> {
        let rows = match page.order {
            Order::Desc => page_of_holds!("DESC", "<", self, visible, page),
            Order::Asc => page_of_holds!("ASC", ">", self, visible, page),
        };
        Ok(rows?)
    }
}

/// Returns true if an erasure of the target has begun and is not finished.
async fn is_being_erased(
    connection: &mut PgConnection,
    target: Target<'_>,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
                 SELECT
                 FROM erasures
                 WHERE finished_at IS NULL
                     AND agent_id = $1
                     AND (session_id IS NULL OR session_id = $2)
             ) AS "too_late!""#,
        target.agent_id(),
        target.session_id(),
    )
    .fetch_one(connection)
    .await
}

/// Inserts a hold, unless there is one.
async fn insert(
    connection: &mut PgConnection,
    target: Target<'_>,
    id: Uuid,
    at: DateTime<Utc>,
    key_id: Option<Uuid>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO holds (id, agent_id, session_id, created_at, key_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        id,
        target.agent_id(),
        target.session_id(),
        at,
        key_id,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Changes the key of a hold, if the key that requested it sees no more than `visible`.
async fn change_key(
    connection: &mut PgConnection,
    target: Target<'_>,
    key_id: Option<Uuid>,
    visible: Option<&[String]>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE holds AS h
             SET key_id = $3
             FROM api_keys AS m
             WHERE h.agent_id = $1
                 AND h.session_id IS NOT DISTINCT FROM $2
                 AND m.id = h.key_id
                 AND m.agent_ids IS NOT NULL
                 AND ($4::text[] IS NULL OR m.agent_ids <@ $4)",
        target.agent_id(),
        target.session_id(),
        key_id,
        visible,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn read(
    connection: &mut PgConnection,
    target: Target<'_>,
    visible: Option<&[String]>,
) -> Result<HoldRow, sqlx::Error> {
    query_as!(
        HoldRow,
        r#"SELECT
                 h.id,
                 h.agent_id,
                 h.session_id,
                 s.sender_session_id AS "sender_session_id?",
                 s.source AS "source?",
                 h.created_at,
                 m.id AS "made_by?"
             FROM holds AS h
             LEFT JOIN sessions AS s ON s.id = h.session_id
             LEFT JOIN api_keys AS m
                 ON m.id = h.key_id AND ($3::text[] IS NULL OR m.agent_ids <@ $3)
             WHERE h.agent_id = $1 AND h.session_id IS NOT DISTINCT FROM $2"#,
        target.agent_id(),
        target.session_id(),
        visible,
    )
    .fetch_one(connection)
    .await
}
