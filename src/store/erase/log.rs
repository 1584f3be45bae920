//! Deletes the deliveries of erased data from the log, including quarantined ones.
//!
//! The log is walked once, one range in each transaction. Deliveries have no index by session: it
//! would cost every delivery, and erasures are few. An interrupted walk starts again, and finds
//! less to delete.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::names::Reach;
use super::receipts::{Receipt, record_progress};
use crate::decode::names::Named;
use crate::domain::{EventId, SourceName};
use crate::store::log_walk::{LogRange, LogWalk};

/// Bodies that are read at once. Even with 1 MiB each they are searched quickly.
const BATCH_BODIES: usize = 100;

/// Prevents retention from exchanging and emptying days of the log until the connection is closed:
/// the walk would miss rows that are set aside meanwhile.
const LOCK_RETENTION: &str = "SELECT pg_advisory_lock(hashtext('verbatim retention'))";
/// Begins a transaction in which the job that creates partitions cannot move rows.
const BEGIN: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('verbatim partitions'))";

/// Agent or session whose deliveries are searched for.
struct Wanted<'a> {
    /// Our ID and the source of the session; `None` for all data of the agent.
    session: Option<(Uuid, &'a str)>,
    reach: Reach<'a>,
}

impl<'a> Wanted<'a> {
    fn of(receipt: &'a Receipt) -> Self {
        let session = receipt.session.as_ref();
        Self {
            session: session.map(|session| (session.id, session.source.as_str())),
            reach: receipt.reach(),
        }
    }

    fn source(&self) -> Option<&'a str> {
        self.session.map(|(_, source)| source)
    }
}

/// Delivery without a known session whose body names the erased agent or session.
struct Unattributed {
    id: Uuid,
    event_id: Uuid,
}

pub(super) async fn erase(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(LOCK_RETENTION).execute(&mut *connection).await?;
    let mut walk = LogWalk::up_to(receipt.erased_at);
    while let Some(range) = walk.next(connection).await? {
        let mut transaction = connection.begin_with(BEGIN).await?;
        let wanted = Wanted::of(receipt);
        let gone = delete_named(&mut transaction, &wanted, range).await?
            + delete_unattributed(&mut transaction, &wanted, range).await?;
        if gone > 0 {
            receipt.rows.add("deliveries", gone);
            record_progress(&mut transaction, receipt).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Returns true if the log has deliveries of an agent, or unreadable ones that name it. Deliveries
/// that were logged as erased do not count: they have no body.
pub(super) async fn has_deliveries_of(
    connection: &mut PgConnection,
    agent_id: &str,
    bound: bool,
    until: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let wanted = Wanted { session: None, reach: Reach { agent_id, session_id: None, bound } };
    let mut walk = LogWalk::up_to(until);
    while let Some(range) = walk.next(connection).await? {
        let LogRange { after, to } = range;
        let named = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                 SELECT
                 FROM deliveries
                 WHERE received_at BETWEEN $1 AND $3
                     AND (received_at, id) > ($1, $2)
                     AND (received_at, id) <= ($3, $4)
                     AND agent_id = $5
                     AND octet_length(body) > 0
             ) AS "named!""#,
            after.0,
            after.1,
            to.0,
            to.1,
            agent_id,
        )
        .fetch_one(&mut *connection)
        .await?;
        if named || !find_unattributed(connection, &wanted, range).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn delete_named(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    LogRange { after, to }: LogRange,
) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "DELETE FROM deliveries
         WHERE received_at BETWEEN $1 AND $3
             AND (received_at, id) > ($1, $2)
             AND (received_at, id) <= ($3, $4)
             AND agent_id = $5
             AND ($6::uuid IS NULL OR session_id = $6)",
        after.0,
        after.1,
        to.0,
        to.1,
        wanted.reach.agent_id,
        wanted.session.map(|(id, _)| id),
    )
    .execute(connection)
    .await?;
    Ok(gone.rows_affected())
}

/// Deletes deliveries without a known session that name the erased data, and stores their event
/// IDs. A later duplicate has no session to look up, so it is rejected by its ID.
async fn delete_unattributed(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    range: LogRange,
) -> Result<u64, sqlx::Error> {
    let mut gone = 0;
    for batch in find_unattributed(connection, wanted, range).await?.chunks(BATCH_BODIES) {
        sqlx::query!(
            "INSERT INTO erased_events (id)
             SELECT DISTINCT UNNEST($1::uuid[])
             ON CONFLICT DO NOTHING",
            &batch.iter().map(|one| one.event_id).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
        let deleted = sqlx::query!(
            "DELETE FROM deliveries WHERE received_at BETWEEN $1 AND $2 AND id = ANY ($3)",
            range.after.0,
            range.to.0,
            &batch.iter().map(|one| one.id).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
        gone += deleted.rows_affected();
    }
    Ok(gone)
}

/// Finds deliveries without a known session that name the erased data. Quarantined deliveries,
/// unknown event types and account events have no session, so the names in their bodies decide.
async fn find_unattributed(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    LogRange { after, to }: LogRange,
) -> Result<Vec<Unattributed>, sqlx::Error> {
    let candidates = sqlx::query_scalar!(
        "SELECT id
         FROM deliveries
         WHERE received_at BETWEEN $1 AND $3
             AND (received_at, id) > ($1, $2)
             AND (received_at, id) <= ($3, $4)
             AND session_id IS NULL
             AND (agent_id IS NULL OR agent_id = $5)
             AND ($6::text IS NULL OR source = $6)
             AND octet_length(body) > 0",
        after.0,
        after.1,
        to.0,
        to.1,
        wanted.reach.agent_id,
        wanted.source(),
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut found = Vec::new();
    for batch in candidates.chunks(BATCH_BODIES) {
        let rows = sqlx::query!(
            "SELECT id, source, event_id, body
             FROM deliveries
             WHERE received_at BETWEEN $1 AND $2 AND id = ANY ($3)",
            after.0,
            to.0,
            batch,
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in rows.into_iter().filter(|row| wanted.reach.covers(&Named::in_body(&row.body))) {
            let source = SourceName::parse(&row.source).unwrap_or_default();
            let computed = || EventId::of(&source, &row.body).0;
            let event_id = row.event_id.unwrap_or_else(computed);
            found.push(Unattributed { id: row.id, event_id });
        }
    }
    Ok(found)
}
