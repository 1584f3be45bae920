//! Writes a batch of deliveries in one transaction.
//!
//! Any order, split or repetition of the same deliveries gives the same rows. Each statement sorts
//! its rows by key, and the statements run in a fixed order, so writers cannot deadlock.
//! migrations/README.md has the rules for a cluster of Postgres servers.

mod activity;
mod bulk;
mod earlier;
mod events;
mod guards;
pub mod journal;
mod log;
mod row;
mod sessions;
pub(in crate::store) mod tombstones;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use self::journal::Entry;
use self::row::Readable;
pub use self::row::Row;
use self::sessions::Merged;
use crate::domain::{Arrival, Delivery, Event, Outcome, Roles};

/// Writes a batch with the default [`Roles`]: see [`write_counting`].
pub async fn write(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
) -> Result<Vec<Outcome>, sqlx::Error> {
    write_counting(connection, rows, &Roles::default()).await
}

/// Writes a batch atomically, and returns the outcome of each row. `roles` decides which side a
/// message counts for.
pub async fn write_counting(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
    roles: &Roles,
) -> Result<Vec<Outcome>, sqlx::Error> {
    let mut transaction = connection.begin_with(tombstones::BEGIN).await?;
    let erased = tombstones::find_erased(&mut transaction, rows).await?;
    let written = project(&mut transaction, rows, &erased, roles).await?;
    let outcome = |row| outcome(row, &written.stored, &erased);
    let outcomes: Vec<Outcome> = rows.iter().map(outcome).collect();
    log::insert(&mut transaction, rows, &outcomes, &erased).await?;
    written.record(&mut transaction).await?;
    transaction.commit().await?;
    Ok(outcomes)
}

/// Writes a quarantined delivery that can be decoded now, atomically, and returns its outcome;
/// `None` if it is not in quarantine any more. The lock on its row in the log keeps other writers
/// of the same delivery out.
pub async fn release(
    connection: &mut PgConnection,
    arrival: &Arrival,
    delivery: Delivery,
    roles: &Roles,
) -> Result<Option<Outcome>, sqlx::Error> {
    let row = Row { arrival, read: Cow::Owned(Ok(delivery)) };
    let mut transaction = connection.begin_with(tombstones::BEGIN).await?;
    if !log::lock_quarantined(&mut transaction, arrival).await? {
        return Ok(None);
    }
    let rows = std::slice::from_ref(&row);
    let erased = tombstones::find_erased(&mut transaction, rows).await?;
    let written = project(&mut transaction, rows, &erased, roles).await?;
    let outcome = outcome(&row, &written.stored, &erased);
    log::release(&mut transaction, &row, outcome, &erased).await?;
    written.record(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Some(outcome))
}

/// Events and sessions that were written, with the figures and journal entry that are not yet.
struct Written {
    /// Arrivals that were new.
    stored: HashSet<Uuid>,
    merged: Merged,
    entry: Option<Entry>,
}

impl Written {
    /// Writes the agents' figures and the journal entry. This comes last, so these rows are locked
    /// for the commit only: batches share agents, and all of them share the journal.
    async fn record(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sessions::add_to_agents(connection, self.merged).await?;
        match self.entry {
            Some(entry) => entry.append(connection).await,
            None => Ok(()),
        }
    }
}

/// Writes events and sessions, except erased ones.
async fn project(
    connection: &mut PgConnection,
    rows: &[Row<'_>],
    erased: &HashSet<Uuid>,
    roles: &Roles,
) -> Result<Written, sqlx::Error> {
    let firsts = first_of_each(rows, erased);
    let guarded = guards::guard(connection, &firsts).await?;
    let new = events::insert(connection, &firsts, &guarded).await?;
    let (fresh, duplicates): (Vec<_>, Vec<_>) =
        firsts.into_iter().partition(|one| new.contains(&one.id));
    let earlier = earlier::correct(connection, duplicates).await?;
    let merged = sessions::merge(connection, &fresh, &earlier, roles).await?;
    let stored = fresh.iter().map(|one| one.arrival.id.0).collect();
    Ok(Written { stored, merged, entry: Entry::of(&fresh, &earlier) })
}

/// Returns the first arrival of each delivery, without duplicates in the batch.
fn first_of_each<'a>(rows: &'a [Row<'_>], erased: &HashSet<Uuid>) -> Vec<Readable<'a>> {
    let mut firsts: HashMap<Uuid, Readable<'a>> = HashMap::with_capacity(rows.len());
    for row in rows {
        let Some(delivery) = row.delivery() else { continue };
        if delivery.event == Event::Test || erased.contains(&row.arrival.id.0) {
            continue;
        }
        let (id, occurred_at) = (delivery.id.0, delivery.occurred_at);
        let one = Readable { arrival: row.arrival, delivery, id, occurred_at };
        let first = firsts.entry(id).or_insert(one);
        let age = |one: &Readable<'_>| (one.arrival.received_at, one.arrival.id);
        if age(&one) < age(first) {
            *first = one;
        }
    }
    firsts.into_values().collect()
}

/// Returns the outcome of a row. An erased delivery is a duplicate: it was stored once, and is not
/// stored again.
fn outcome(row: &Row<'_>, stored: &HashSet<Uuid>, erased: &HashSet<Uuid>) -> Outcome {
    match &*row.read {
        _ if erased.contains(&row.arrival.id.0) => Outcome::Duplicate,
        Err(_) => Outcome::Quarantined,
        Ok(Delivery { event: Event::Test, .. }) => Outcome::Test,
        Ok(_) if !stored.contains(&row.arrival.id.0) => Outcome::Duplicate,
        Ok(Delivery { event: Event::Unknown, .. }) => Outcome::Unhandled,
        Ok(_) => Outcome::Stored,
    }
}
