//! What was erased is not written again, wherever it comes from: the inbox, a sender that tries
//! again, an import.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::Row;
use crate::decode::names::Named;
use crate::domain::{Arrival, Delivery, EventId};
use crate::store::erase::Reach;

/// Begins a transaction of the writer's. An erasure waits until all that have begun have ended, and
/// those that begin later see it: so nothing that is on its way slips past.
pub(super) const BEGIN: &str =
    "BEGIN; SELECT pg_advisory_xact_lock_shared(hashtext('verbatim ingest'))";
/// Its other side, taken for moments.
pub(in crate::store) const ALONE: &str =
    "SELECT pg_advisory_xact_lock(hashtext('verbatim ingest'))";
/// A transaction that begins with it.
pub(in crate::store) const BEGIN_ALONE: &str =
    "BEGIN; SELECT pg_advisory_xact_lock(hashtext('verbatim ingest'))";

/// The arrivals that were erased before they could be written. It costs one query a batch, which
/// looks for nothing where nothing was ever erased.
pub(super) async fn among(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let tombs = Tombs::of(connection, rows).await?;
    let mut erased = HashSet::new();
    // They happened later, and may still be repeats of what is gone.
    let mut doubtful: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
    for row in rows {
        let (delivery, arrival) = (row.delivery(), row.arrival);
        match delivery.and_then(|delivery| Some((tombs.erased_at(delivery)?, delivery))) {
            Some((erased_at, delivery))
                if arrival.received_at <= erased_at || delivery.occurred_at <= erased_at =>
            {
                erased.insert(arrival.id.0);
            }
            None if !is_nameless(row) => {}
            _ => {
                for id in known_ids(row) {
                    doubtful.entry(id.0).or_default().push(arrival.id.0);
                }
            }
        }
    }
    if !doubtful.is_empty() {
        let ids: Vec<Uuid> = doubtful.keys().copied().collect();
        let known = sqlx::query_scalar!("SELECT id FROM erased_events WHERE id = ANY ($1)", &ids)
            .fetch_all(&mut *connection)
            .await?;
        erased.extend(known.iter().filter_map(|id| doubtful.get(id)).flatten());
    }
    erased.extend(naming(connection, rows).await?);
    Ok(erased)
}

/// Until when sessions and agents of a batch were erased.
#[derive(Default)]
struct Tombs {
    sessions: BTreeMap<Uuid, DateTime<Utc>>,
    agents: BTreeMap<String, DateTime<Utc>>,
}

impl Tombs {
    async fn of(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<Self, sqlx::Error> {
        let read = || rows.iter().filter_map(Row::delivery);
        let sessions: BTreeSet<Uuid> = read().filter_map(session_of).collect();
        let agents: BTreeSet<&str> = read().filter_map(|one| one.agent_id.as_deref()).collect();
        if sessions.is_empty() && agents.is_empty() {
            return Ok(Self::default());
        }
        // Not `= ANY`: for a thousand constants the planner takes longer than all else that this does.
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
        let mut tombs = Self::default();
        // The latest comes last, and stays.
        for row in rows {
            match row.session_id {
                Some(session) => tombs.sessions.insert(session, row.erased_at),
                None => tombs.agents.insert(row.agent_id, row.erased_at),
            };
        }
        Ok(tombs)
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

/// It belongs to no session that we can read: only its bytes may name one.
fn is_nameless(row: &Row<'_>) -> bool {
    row.delivery().and_then(session_of).is_none()
}

/// The ids under which it may have been erased, whether it can be read or not. Earlier versions
/// noted the hash of its delivery header, which other deliveries may have as well: it counts only
/// where the event's own time could not keep it away.
fn known_ids(row: &Row<'_>) -> Vec<EventId> {
    let Arrival { source, evidence, body, received_at, .. } = row.arrival;
    let header = evidence.sender_delivery_id.as_deref();
    let former = header.map(|header| EventId::former(source, header));
    match row.delivery() {
        Some(delivery) => {
            let timeless = delivery.undated || delivery.occurred_at > *received_at;
            let former = former.filter(|_| timeless || is_nameless(row));
            [delivery.id].into_iter().chain(former).collect()
        }
        None => {
            let id = evidence.event_id.unwrap_or_else(|| EventId::of(source, body));
            [id].into_iter().chain(former).collect()
        }
    }
}

/// When it arrived or, where that is known and earlier, when it happened.
fn earliest(row: &Row<'_>) -> DateTime<Utc> {
    let happened = row.delivery().map(|delivery| delivery.occurred_at);
    happened.unwrap_or(row.arrival.received_at).min(row.arrival.received_at)
}

/// Those that have no session, and name what was erased after they arrived or happened.
async fn naming(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<Vec<Uuid>, sqlx::Error> {
    let nameless = || rows.iter().filter(|row| is_nameless(row));
    let Some(oldest) = nameless().map(earliest).min() else { return Ok(Vec::new()) };
    let tombs = sqlx::query!(
        "SELECT agent_id, sender_session_id, source, erased_at, bound
         FROM erasures
         WHERE erased_at >= $1",
        oldest,
    )
    .fetch_all(connection)
    .await?;
    if tombs.is_empty() {
        return Ok(Vec::new());
    }
    let mut erased = Vec::new();
    for row in nameless() {
        let named = Named::in_body(&row.arrival.body);
        let agent = row.delivery().and_then(|delivery| delivery.agent_id.as_deref());
        let covered = tombs.iter().any(|tomb| {
            let reach = Reach {
                agent_id: &tomb.agent_id,
                session_id: tomb.sender_session_id.as_deref(),
                bound: tomb.bound,
            };
            earliest(row) <= tomb.erased_at
                && agent.is_none_or(|agent| agent == tomb.agent_id)
                && tomb.source.as_deref().is_none_or(|name| name == row.arrival.source.as_str())
                && reach.covers(&named)
        });
        if covered {
            erased.push(row.arrival.id.0);
        }
    }
    Ok(erased)
}
