//! Receipts of erasures: reads them, and stores the progress of an erasure.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::names::Reach;
use super::rows::Tally;
use crate::store::journal::{ErasedSession, Erasure, ErasureKind};
use crate::store::page::{Order, PageRequest};
use crate::store::{Store, StoreError};

/// Receipt of an erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Erasure ID.
    pub id: Uuid,
    /// Kind: a session or an agent.
    pub kind: ErasureKind,
    /// Agent whose data is erased.
    pub agent_id: String,
    /// Erased session; `None` for all data of the agent.
    pub session: Option<ErasedSession>,
    /// Events that arrived or happened up to this time are not stored again.
    pub erased_at: DateTime<Utc>,
    /// Time at which everything was deleted; `None` before.
    pub finished_at: Option<DateTime<Utc>>,
    /// Deleted rows by table.
    pub rows: Tally,
    /// True if a key that is bound to agents requested it.
    pub bound: bool,
}

impl Receipt {
    pub(super) fn erasure(&self) -> Erasure {
        Erasure {
            id: self.id,
            kind: self.kind,
            agent_id: self.agent_id.clone(),
            session: self.session.clone(),
            at: self.erased_at,
            before: None,
        }
    }

    /// Returns the rule for bodies that name the erased data.
    pub(super) fn reach(&self) -> Reach<'_> {
        let session = self.session.as_ref();
        Reach {
            agent_id: &self.agent_id,
            session_id: session.map(|session| session.session_id.as_str()),
            bound: self.bound,
        }
    }
}

/// Filter of a list of receipts.
#[derive(Clone, Debug, Default)]
pub struct ErasureFilter {
    /// Only of these agents; `None` is all.
    pub agents: Option<Vec<String>>,
    /// Only of sessions with this ID, the sender's or ours.
    pub session: Option<String>,
}

/// Row of `erasures`.
struct Row {
    id: Uuid,
    agent_id: String,
    session_id: Option<Uuid>,
    sender_session_id: Option<String>,
    source: Option<String>,
    erased_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    counts: String,
    bound: bool,
}

impl TryFrom<Row> for Receipt {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let session = row.session_id.map(|id| ErasedSession {
            id,
            session_id: row.sender_session_id.unwrap_or_default(),
            source: row.source.unwrap_or_default(),
        });
        Ok(Self {
            id: row.id,
            kind: if session.is_some() { ErasureKind::Session } else { ErasureKind::Agent },
            agent_id: row.agent_id,
            session,
            erased_at: row.erased_at,
            finished_at: row.finished_at,
            rows: serde_json::from_str::<Tally>(&row.counts)
                .map_err(|error| sqlx::Error::Decode(error.into()))?,
            bound: row.bound,
        })
    }
}

/// Reads a page of receipts in the order of their IDs, which is that of the erasures' start.
/// Erasures are few enough to sort.
macro_rules! page_of_receipts {
    ($order:tt, $beyond:tt, $store:ident, $filter:ident, $page:ident) => {{
        let (_, start_id) = $page.start();
        let session_id = $filter.session.as_deref().and_then(|id| Uuid::try_parse(id).ok());
        sqlx::query_as!(
            Row,
            r#"
            SELECT
                id,
                agent_id,
                session_id,
                sender_session_id,
                source,
                erased_at,
                finished_at,
                counts::text AS "counts!",
                bound
            FROM erasures
            WHERE id "#
                + $beyond
                + r#" $1
                AND ($2::text[] IS NULL OR agent_id = ANY ($2))
                AND ($3::text IS NULL OR sender_session_id = $3 OR session_id = $4)
            ORDER BY id "#
                + $order
                + r#"
            LIMIT $5
            "#,
            start_id,
            $filter.agents.as_deref(),
            $filter.session.as_deref(),
            session_id,
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

impl Store {
    /// Returns a page of receipts.
    pub async fn list_erasures(
        &self,
        filter: &ErasureFilter,
        page: &PageRequest,
    ) -> Result<Vec<Receipt>, StoreError> {
        let rows = match page.order {
            Order::Desc => page_of_receipts!("DESC", "<", self, filter, page),
            Order::Asc => page_of_receipts!("ASC", ">", self, filter, page),
        }?;
        Ok(rows.into_iter().map(Receipt::try_from).collect::<Result<_, _>>()?)
    }

    /// Returns a receipt, if it is of a `visible` agent; `None` is every agent.
    pub async fn find_erasure(
        &self,
        id: Uuid,
        visible: Option<&[String]>,
    ) -> Result<Option<Receipt>, StoreError> {
        let row = sqlx::query_as!(
            Row,
            r#"SELECT
                 id, agent_id, session_id, sender_session_id, source, erased_at, finished_at,
                 counts::text AS "counts!", bound
             FROM erasures
             WHERE id = $1 AND ($2::text[] IS NULL OR agent_id = ANY ($2))"#,
            id,
            visible,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(Receipt::try_from).transpose()?)
    }
}

/// Returns the receipt of an erasure, if it is unfinished.
pub(super) async fn unfinished(
    connection: &mut PgConnection,
    id: Uuid,
) -> Result<Option<Receipt>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT
             id, agent_id, session_id, sender_session_id, source, erased_at, finished_at,
             counts::text AS "counts!", bound
         FROM erasures
         WHERE id = $1 AND finished_at IS NULL"#,
        id,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Receipt::try_from).transpose()
}

/// Stores the progress of an erasure.
pub(super) async fn record_progress(
    connection: &mut PgConnection,
    receipt: &Receipt,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE erasures SET erased_at = $2, counts = $3::text::jsonb WHERE id = $1",
        receipt.id,
        receipt.erased_at,
        counts(&receipt.rows)?,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns numbers of deleted rows as JSON.
pub(super) fn counts(rows: &Tally) -> Result<String, sqlx::Error> {
    serde_json::to_string(rows).map_err(|error| sqlx::Error::Encode(error.into()))
}
