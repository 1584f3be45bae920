//! The write side: a batch of deliveries in one transaction.
//!
//! Any order, split or repetition of the same deliveries ends in the same rows. Rows of a
//! statement are sorted by key, and the statements always come in the same order, so that two
//! writers wait for each other and never for themselves. ARCHITECTURE.md has the rules that keep
//! the same SQL running on a cluster of Postgres servers.

mod events;
pub mod journal;
mod log;
mod sessions;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::decode::{Reading, Received};
use crate::domain::{Arrival, Delivery, Event, Outcome, Unreadable};

/// A delivery to write: what arrived, and what could be read from it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// What arrived.
    pub arrival: &'a Arrival,
    /// What it says, or why nothing can be read: then it goes to quarantine.
    pub read: Cow<'a, Reading>,
}

impl<'a> From<&'a Received> for Row<'a> {
    fn from(received: &'a Received) -> Self {
        Self { arrival: &received.arrival, read: Cow::Borrowed(&received.read) }
    }
}

impl Row<'_> {
    fn delivery(&self) -> Option<&Delivery> {
        self.read.as_ref().as_ref().ok()
    }

    fn fault(&self) -> Option<&Unreadable> {
        self.read.as_ref().as_ref().err()
    }
}

/// One delivery that could be read, the first of its repeats in the batch.
#[derive(Clone, Copy)]
struct Readable<'a> {
    arrival: &'a Arrival,
    delivery: &'a Delivery,
}

/// Writes a batch: all of it, or nothing and an error.
pub async fn write(connection: &mut PgConnection, rows: &[Row<'_>]) -> Result<(), sqlx::Error> {
    let firsts = first_of_each(rows);
    let mut transaction = connection.begin().await?;
    let new = events::insert(&mut transaction, &firsts).await?;
    let fresh: Vec<Readable<'_>> =
        firsts.iter().copied().filter(|one| new.contains(&one.delivery.id.0)).collect();
    let agents = sessions::merge(&mut transaction, &fresh).await?;
    let stored: HashSet<Uuid> = fresh.iter().map(|one| one.arrival.id.0).collect();
    log::insert(&mut transaction, rows, |row| outcome(row, &stored)).await?;
    // Last, and so locked for the commit alone: every batch has an agent in common with others,
    // and all of them have the journal.
    sessions::count(&mut transaction, agents).await?;
    journal::append(&mut transaction, &fresh).await?;
    transaction.commit().await
}

/// The first arrival of each delivery; repeats within the batch are left out.
fn first_of_each<'a>(rows: &'a [Row<'_>]) -> Vec<Readable<'a>> {
    let mut firsts: HashMap<Uuid, Readable<'a>> = HashMap::with_capacity(rows.len());
    for row in rows {
        let Some(delivery) = row.delivery() else { continue };
        if delivery.event == Event::Test {
            continue;
        }
        let one = Readable { arrival: row.arrival, delivery };
        let first = firsts.entry(delivery.id.0).or_insert(one);
        let age = |one: &Readable<'_>| (one.arrival.received_at, one.arrival.id);
        if age(&one) < age(first) {
            *first = one;
        }
    }
    firsts.into_values().collect()
}

fn outcome(row: &Row<'_>, stored: &HashSet<Uuid>) -> Outcome {
    match &*row.read {
        Err(_) => Outcome::Quarantined,
        Ok(Delivery { event: Event::Test, .. }) => Outcome::Test,
        Ok(_) if !stored.contains(&row.arrival.id.0) => Outcome::Duplicate,
        Ok(Delivery { event: Event::Unknown, .. }) => Outcome::Unhandled,
        Ok(_) => Outcome::Stored,
    }
}
