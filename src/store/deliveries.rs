//! The log of deliveries: what arrived, and what became of it.
//!
//! `deliveries` is partitioned by `received_at`, and its key is (`received_at`, `id`). A list walks
//! the key, or the index of what was not stored; both ways the times that are asked for bound the
//! partitions that are touched.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection as _, query_as};
use uuid::Uuid;

use super::ingest;
use super::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest};
use super::{Store, StoreError};
use crate::domain::ids::InvalidSourceName;
use crate::domain::{Arrival, Delivery, DeliveryId, EventId, Evidence, Outcome, SourceName};

/// A delivery as it stands in the log.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Ours, new for every request.
    pub id: Uuid,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// The source that let it in.
    pub source: String,
    /// The contract that it follows, where it could be read.
    pub generation: Option<String>,
    /// The sender's name for the event, where it could be read.
    pub event_type: Option<String>,
    /// What became of it.
    pub outcome: String,
    /// Why it is in quarantine.
    pub reason: Option<String>,
    /// The agent that it names, where it could be read and names one.
    pub agent_id: Option<String>,
    /// The sender's id of its conversation, where it belongs to one that is there.
    pub session_id: Option<String>,
    /// The sender's id of it, the same on every attempt.
    pub sender_delivery_id: Option<String>,
    /// It carried a signature, which was right.
    pub signed: bool,
    /// Its signed timestamp was more than five minutes from our clock.
    pub stale: bool,
    /// It said that it is a test.
    pub test: bool,
    /// What it is known by among its repeats, where its body was redacted.
    pub event_id: Option<Uuid>,
    /// Its body's size.
    pub size_bytes: i32,
    /// Its body, where one delivery is read; a list leaves it out.
    pub body: Option<Vec<u8>>,
}

impl DeliveryRow {
    /// It lies in quarantine.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.outcome == Outcome::Quarantined.as_str()
    }

    /// The request as it stood at the door, so that it can be decoded anew.
    pub fn arrival(&self) -> Result<Arrival, InvalidSourceName> {
        Ok(Arrival {
            id: DeliveryId(self.id),
            received_at: self.received_at,
            source: SourceName::parse(&self.source)?,
            evidence: Evidence {
                sender_delivery_id: self.sender_delivery_id.clone(),
                signed: self.signed,
                stale: self.stale,
                test: self.test,
                event_id: self.event_id.map(EventId),
            },
            body: self.body.clone().map(Bytes::from).unwrap_or_default(),
        })
    }
}

/// Which deliveries a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only those that name one of these agents; `None` is all, and those that name none.
    pub visible: Option<Vec<String>>,
    /// Only with one of these outcomes.
    pub outcomes: Option<Vec<Outcome>>,
    /// Only this source's.
    pub source: Option<String>,
    /// Only of this type.
    pub event_type: Option<String>,
    /// Only later than this.
    pub received_after: Option<DateTime<Utc>>,
    /// Only earlier than this.
    pub received_before: Option<DateTime<Utc>>,
}

impl DeliveryFilter {
    fn outcomes(&self) -> Option<Vec<String>> {
        let names = |outcomes: &Vec<Outcome>| {
            outcomes.iter().map(|outcome| outcome.as_str().to_owned()).collect()
        };
        self.outcomes.as_ref().map(names)
    }

    /// Nothing that was stored is asked for.
    fn leaves_out_stored(&self) -> bool {
        self.outcomes.as_ref().is_some_and(|outcomes| !outcomes.contains(&Outcome::Stored))
    }

    /// The times, both included, between which a page lies: of the filter, and of what is still to
    /// come.
    fn bounds(&self, page: &PageRequest) -> (DateTime<Utc>, DateTime<Utc>) {
        // Times are whole microseconds.
        let step = TimeDelta::microseconds(1);
        let from = self.received_after.map_or(BEFORE_ALL, |after| after + step);
        let to = self.received_before.map_or(AFTER_ALL, |before| before - step);
        let (start_at, _) = page.start();
        match page.order {
            Order::Asc => (from.max(start_at), to),
            Order::Desc => (from, to.min(start_at)),
        }
    }
}

/// The list of deliveries. `$head` says along which index it is walked.
macro_rules! list_deliveries {
    ($head:tt, $order:tt, $beyond:tt, $store:ident, $filter:ident, $page:ident) => {{
        let (from, to) = $filter.bounds($page);
        let (start_at, start_id) = $page.start();
        let outcomes = $filter.outcomes();
        query_as!(
            DeliveryRow,
            r#"
            SELECT
                d.id AS "id!",
                d.received_at AS "received_at!",
                d.source AS "source!",
                d.generation,
                d.event_type,
                d.outcome AS "outcome!",
                d.reason,
                d.agent_id,
                s.sender_session_id AS "session_id?",
                d.sender_delivery_id,
                d.signed AS "signed!",
                d.stale AS "stale!",
                d.test AS "test!",
                d.event_id,
                octet_length(d.body) AS "size_bytes!",
                NULL::bytea AS body
            FROM "#
                + $head
                + r#"
                AND received_at BETWEEN $1 AND $2
                AND (received_at, id) "#
                + $beyond
                + r#" ($3, $4)
                AND ($6::text[] IS NULL OR agent_id = ANY ($6))
                AND ($7::text IS NULL OR source = $7)
                AND ($8::text IS NULL OR event_type = $8)
                ORDER BY received_at "#
                + $order
                + r#", id "#
                + $order
                + r#"
                LIMIT $9
            ) AS d
            LEFT JOIN sessions AS s ON s.id = d.session_id
            ORDER BY d.received_at "#
                + $order
                + r#", d.id "#
                + $order
                + r#"
            LIMIT $9
            "#,
            from,
            to,
            start_at,
            start_id,
            outcomes.as_deref(),
            $filter.visible.as_deref(),
            $filter.source.as_deref(),
            $filter.event_type.as_deref(),
            i64::from($page.limit)
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// A walk along the key, for what most deliveries are.
macro_rules! all_deliveries {
    ($($rest:tt)*) => {
        list_deliveries!(
            "(
                SELECT *
                FROM deliveries
                WHERE ($5::text[] IS NULL OR outcome = ANY ($5))",
            $($rest)*
        )
    };
}

/// A walk along `deliveries_not_stored` for each outcome, merged: such deliveries are few, and the
/// key would lead past millions of others.
macro_rules! odd_deliveries {
    ($($rest:tt)*) => {
        list_deliveries!(
            "unnest($5::text[]) AS wanted (outcome)
            CROSS JOIN LATERAL (
                SELECT *
                FROM deliveries
                WHERE outcome <> 'stored'
                AND outcome = wanted.outcome",
            $($rest)*
        )
    };
}

impl Store {
    /// A part of the log of deliveries, by their arrival.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = match (filter.leaves_out_stored(), page.order) {
            (false, Order::Desc) => all_deliveries!("DESC", "<", self, filter, page),
            (false, Order::Asc) => all_deliveries!("ASC", ">", self, filter, page),
            (true, Order::Desc) => odd_deliveries!("DESC", "<", self, filter, page),
            (true, Order::Asc) => odd_deliveries!("ASC", ">", self, filter, page),
        };
        Ok(rows?)
    }

    /// One delivery with its body, if it names an agent that is `visible`; `None` is every agent.
    pub async fn find_delivery(
        &self,
        id: Uuid,
        visible: Option<&[String]>,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let Some((from, to)) = DeliveryId(id).millisecond() else { return Ok(None) };
        let row = query_as!(
            DeliveryRow,
            r#"
            SELECT
                d.id,
                d.received_at,
                d.source,
                d.generation,
                d.event_type,
                d.outcome,
                d.reason,
                d.agent_id,
                s.sender_session_id AS "session_id?",
                d.sender_delivery_id,
                d.signed,
                d.stale,
                d.test,
                d.event_id,
                octet_length(d.body) AS "size_bytes!",
                d.body AS "body?"
            FROM deliveries AS d
            LEFT JOIN sessions AS s ON s.id = d.session_id
            WHERE d.id = $1
                AND d.received_at >= $2
                AND d.received_at < $3
                AND ($4::text[] IS NULL OR d.agent_id = ANY ($4))
            "#,
            id,
            from,
            to,
            visible
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row)
    }

    /// Stores a delivery that lies in quarantine, as if it had just arrived, and says what became
    /// of it; `None` where it does not lie there any more.
    pub async fn release(
        &self,
        arrival: &Arrival,
        delivery: Delivery,
    ) -> Result<Option<Outcome>, StoreError> {
        // Out of the pool, so that wherever this is dropped the connection and its transaction go
        // along with it.
        let mut connection = self.pool.acquire().await?.detach();
        let outcome = ingest::release(&mut connection, arrival, delivery, &self.roles).await?;
        // Postgres notices by itself where the farewell does not reach it.
        let _ = connection.close().await;
        Ok(outcome)
    }
}
