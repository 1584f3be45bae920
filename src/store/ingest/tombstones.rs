//! Keeps erased data from being written again by the inbox, a sender's retry, or an import.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::row::Row;
use crate::decode::names::Named;
use crate::domain::{Arrival, Delivery, EventId};
use crate::store::erase::Reach;

/// Begins a writer's transaction. An erasure waits for all of these that have begun, and those that
/// begin later see it, so no delivery in progress escapes it.
pub(super) const BEGIN: &str =
    "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('verbatim ingest'))";
/// The exclusive side of the lock, held for moments.
pub(in crate::store) const ALONE: &str =
    "SELECT pg_advisory_xact_lock(hashtext('verbatim ingest'))";
/// Begins a transaction that holds the exclusive side of the lock.
pub(in crate::store) const BEGIN_ALONE: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtext('verbatim ingest'))";

/// Returns the arrivals that were erased before they were written. Costs one query a batch, which
/// reads nothing more while there are no erasures.
pub(super) async fn find_erased(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let tombstones = Tombstones::of(connection, rows).await?;
    let mut erased = HashSet::new();
    // They happened later, and may still be duplicates of an erased delivery.
    let mut uncertain: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for row in rows {
        let (delivery, arrival) = (row.delivery(), row.arrival);
        match delivery.and_then(|delivery| Some((tombstones.erased_at(delivery)?, delivery))) {
            Some((erased_at, delivery))
                if arrival.received_at <= erased_at || delivery.occurred_at <= erased_at =>
            {
                erased.insert(arrival.id.0);
            }
            None if !has_no_session(row) => {}
            _ => {
                uncertain.entry(id_of(row).0).or_default().push(arrival.id.0);
            }
        }
    }
    if !uncertain.is_empty() {
        let ids: Vec<Uuid> = uncertain.keys().copied().collect();
        let known = sqlx::query_scalar!("SELECT id FROM erased_events WHERE id = ANY ($1)", &ids)
            .fetch_all(&mut *connection)
            .await?;
        erased.extend(known.iter().filter_map(|id| uncertain.get(id)).flatten());
    }
    erased.extend(find_named_in_bodies(connection, rows).await?);
    Ok(erased)
}

/// Times until which sessions and agents of a batch were erased.
#[derive(Default)]
struct Tombstones {
    sessions: BTreeMap<Uuid, DateTime<Utc>>,
    agents: BTreeMap<String, DateTime<Utc>>,
}

impl Tombstones {
    async fn of(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<Self, sqlx::Error> {
        let read = || rows.iter().filter_map(Row::delivery);
        let sessions: BTreeSet<Uuid> = read().filter_map(session_of).collect();
        let agents: BTreeSet<&str> = read().filter_map(|one| one.agent_id.as_deref()).collect();
        if sessions.is_empty() && agents.is_empty() {
            return Ok(Self::default());
        }
        // Not `= ANY`: planning with a thousand constants takes longer than everything else here.
        let rows = sqlx::query!(
            r#"SELECT session_id, agent_id AS "agent_id!", erased_at AS "erased_at!"
             FROM erasures
             WHERE (SELECT EXISTS (SELECT FROM erasures))
                 AND session_id IN (SELECT UNNEST($1::uuid[]))
             UNION ALL
             SELECT session_id, agent_id, erased_at
             FROM erasures
             WHERE session_id IS NULL AND agent_id IN (SELECT UNNEST($2::text[]))
             ORDER BY 3"#,
            &sessions.into_iter().collect::<Vec<_>>(),
            &agents.into_iter().collect::<Vec<_>>() as _,
        )
        .fetch_all(connection)
        .await?;
        let mut tombstones = Self::default();
        // Rows are ordered by time, so the latest one remains.
        for row in rows {
            match row.session_id {
                Some(session) => tombstones.sessions.insert(session, row.erased_at),
                None => tombstones.agents.insert(row.agent_id, row.erased_at),
            };
        }
        Ok(tombstones)
    }

    fn erased_at(&self, delivery: &Delivery) -> Option<DateTime<Utc>> {
        let session = session_of(delivery).and_then(|id| self.sessions.get(&id));
        let agent = delivery.agent_id.as_deref().and_then(|id| self.agents.get(id));
        session.copied().max(agent.copied())
    }
}

fn session_of(delivery: &Delivery) -> Option<Uuid> {
    delivery.event.session().map(|session| session.id.0)
}

/// Reports whether it has no session that we can decode: only its bytes may name one.
fn has_no_session(row: &Row<'_>) -> bool {
    row.delivery().and_then(session_of).is_none()
}

/// Returns the ID under which it may have been erased, decoded or not.
fn id_of(row: &Row<'_>) -> EventId {
    let Arrival { source, evidence, body, .. } = row.arrival;
    match row.delivery() {
        Some(delivery) => delivery.id,
        None => evidence.event_id.unwrap_or_else(|| EventId::of(source, body)),
    }
}

/// Returns the time of arrival, or that of the event if it is known and earlier.
fn earliest(row: &Row<'_>) -> DateTime<Utc> {
    let happened = row.delivery().map(|delivery| delivery.occurred_at);
    happened.unwrap_or(row.arrival.received_at).min(row.arrival.received_at)
}

/// Returns arrivals without a session whose bytes name something erased after they arrived or
/// happened.
async fn find_named_in_bodies(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let without_session = || rows.iter().filter(|row| has_no_session(row));
    let Some(oldest) = without_session().map(earliest).min() else { return Ok(Vec::new()) };
    let tombstones = sqlx::query!(
        "SELECT agent_id, sender_session_id, source, erased_at, bound
         FROM erasures
         WHERE erased_at >= $1",
        oldest,
    )
    .fetch_all(connection)
    .await?;
    if tombstones.is_empty() {
        return Ok(Vec::new());
    }
    let mut erased = Vec::new();
    for row in without_session() {
        let named = Named::in_body(&row.arrival.body);
        let agent = row.delivery().and_then(|delivery| delivery.agent_id.as_deref());
        let covered = tombstones.iter().any(|erasure| {
            let reach = Reach {
                agent_id: &erasure.agent_id,
                session_id: erasure.sender_session_id.as_deref(),
                bound: erasure.bound,
            };
            earliest(row) <= erasure.erased_at
                && agent.is_none_or(|agent| agent == erasure.agent_id)
                && erasure.source.as_deref().is_none_or(|name| name == row.arrival.source.as_str())
                && reach.covers(&named)
        });
        if covered {
            erased.push(row.arrival.id.0);
        }
    }
    Ok(erased)
}
