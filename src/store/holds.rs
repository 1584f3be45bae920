//! What is held: neither erased, nor dropped for its age.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, query_as};
use uuid::Uuid;

use super::erase::{DELETING, Target};
use super::page::{Order, PageRequest};
use super::{Store, StoreError};

/// A hold.
#[derive(Clone, Debug)]
pub struct HoldRow {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub agent_id: String,
    /// Our id of the session; `None` is all that the agent has.
    pub session_id: Option<Uuid>,
    /// The sender's id of it.
    pub sender_session_id: Option<String>,
    /// The source that delivered it.
    pub source: Option<String>,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// The key that asked for it, as far as it may be seen.
    pub made_by: Option<Uuid>,
}

/// What became of the wish to end a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It has ended.
    Yes,
    /// There was none.
    NotHeld,
    /// A key that sees more than the caller asked for it.
    NotAllowed,
}

/// What became of the wish to hold something.
#[derive(Clone, Debug)]
pub enum Held {
    /// It is held, maybe since long ago.
    Yes(HoldRow),
    /// It is being erased.
    TooLate,
}

/// A part of the list of holds. They are made by hand: there are few enough to sort.
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
    /// Holds something from now on; what is held already stays so since then, and becomes the hold of
    /// the caller's key where that sees as much as the one that asked for it, or more. `visible`
    /// are the agents that the caller sees.
    pub async fn hold(
        &self,
        target: Target<'_>,
        id: Uuid,
        at: DateTime<Utc>,
        key_id: Option<Uuid>,
        visible: Option<&[String]>,
    ) -> Result<Held, StoreError> {
        let (agent_id, session_id) = (target.agent_id(), target.session_id());
        let mut connection = self.pool.acquire().await?.detach();
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(DELETING).execute(&mut *transaction).await?;
        let too_late = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT
                 FROM erasures
                 WHERE finished_at IS NULL
                     AND agent_id = $1
                     AND (session_id IS NULL OR session_id = $2)
             ) AS "too_late!""#,
            agent_id,
            session_id,
        )
        .fetch_one(&mut *transaction)
        .await?;
        if too_late {
            return Ok(Held::TooLate);
        }
        sqlx::query!(
            "INSERT INTO holds (id, agent_id, session_id, created_at, key_id)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            id,
            agent_id,
            session_id,
            at,
            key_id,
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "UPDATE holds AS h
             SET key_id = $3
             FROM api_keys AS m
             WHERE h.agent_id = $1
                 AND h.session_id IS NOT DISTINCT FROM $2
                 AND m.id = h.key_id
                 AND m.agent_ids IS NOT NULL
                 AND ($4::text[] IS NULL OR m.agent_ids <@ $4)",
            agent_id,
            session_id,
            key_id,
            visible,
        )
        .execute(&mut *transaction)
        .await?;
        let row = query_as!(
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
            agent_id,
            session_id,
            visible,
        )
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(Held::Yes(row))
    }

    /// Ends a hold. A caller that is bound to agents ends those that keys asked for which see no
    /// more than it does.
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

    /// A part of the list of holds, by when they were made; only of those agents that are
    /// `visible`.
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
