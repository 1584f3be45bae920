//! Deliveries of what is erased: out of the log with their bytes, and out of quarantine.
//!
//! One walk along the log, a stretch a transaction: deliveries are not indexed by their session,
//! which would cost every delivery for the sake of a few erasures. A walk that was interrupted
//! begins anew, and finds that much less.

use chrono::{DateTime, Utc};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::names::Reach;
use super::{Receipt, note};
use crate::decode::names::Named;
use crate::domain::{EventId, SourceName};
use crate::store::log_walk::{LogWalk, Stretch};

/// Bodies that are looked into at once: with 1 MiB each still a moment's work.
const BATCH_BODIES: usize = 100;

/// Keeps days of the log from being exchanged and emptied until the connection is closed: what is
/// set aside meanwhile would be passed over.
const UNSWEPT: &str = "SELECT pg_advisory_lock(hashtext('verbatim retention'))";
/// Keeps the job that makes partitions from moving rows while they are looked for.
const UNMOVED: &str = "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('verbatim partitions'))";

/// Whose deliveries are looked for.
struct Wanted<'a> {
    /// Of one session: ours, and the source that delivered it.
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

/// A delivery that belongs to no session that we could read, and says the name of one.
struct Naming {
    id: Uuid,
    event_id: Uuid,
}

pub(super) async fn erase(
    connection: &mut PgConnection,
    receipt: &mut Receipt,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(UNSWEPT).execute(&mut *connection).await?;
    let mut walk = LogWalk::up_to(receipt.erased_at);
    while let Some(stretch) = walk.next(connection).await? {
        let mut transaction = connection.begin_with(UNMOVED).await?;
        let wanted = Wanted::of(receipt);
        let gone = delete_named(&mut transaction, &wanted, stretch).await?
            + delete_naming(&mut transaction, &wanted, stretch).await?;
        if gone > 0 {
            receipt.rows.add("deliveries", gone);
            note(&mut transaction, receipt).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Whether the log has anything of an agent: what it delivered, or what names it and cannot be
/// read. What was logged as erased says nothing of it any more.
pub(super) async fn tells_of(
    connection: &mut PgConnection,
    agent_id: &str,
    bound: bool,
    until: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let wanted = Wanted { session: None, reach: Reach { agent_id, session_id: None, bound } };
    let mut walk = LogWalk::up_to(until);
    while let Some(stretch) = walk.next(connection).await? {
        let Stretch { after, to } = stretch;
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
        if named || !naming(connection, &wanted, stretch).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn delete_named(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    Stretch { after, to }: Stretch,
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

/// Deletes what names it and has no session that we could read, and remembers what that was known
/// by: when it comes again there will be no name to look it up by.
async fn delete_naming(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    stretch: Stretch,
) -> Result<u64, sqlx::Error> {
    let mut gone = 0;
    for batch in naming(connection, wanted, stretch).await?.chunks(BATCH_BODIES) {
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
            stretch.after.0,
            stretch.to.0,
            &batch.iter().map(|one| one.id).collect::<Vec<_>>(),
        )
        .execute(&mut *connection)
        .await?;
        gone += deleted.rows_affected();
    }
    Ok(gone)
}

/// What is in quarantine, types that are not known yet and events of the account have no session,
/// so the names in their bodies say whose they are.
async fn naming(
    connection: &mut PgConnection,
    wanted: &Wanted<'_>,
    Stretch { after, to }: Stretch,
) -> Result<Vec<Naming>, sqlx::Error> {
    let doubtful = sqlx::query_scalar!(
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
    let mut naming = Vec::new();
    for batch in doubtful.chunks(BATCH_BODIES) {
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
            naming.push(Naming { id: row.id, event_id: row.event_id.unwrap_or_else(computed) });
        }
    }
    Ok(naming)
}
