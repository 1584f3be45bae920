//! Pages of the log of deliveries.
//!
//! `deliveries` is partitioned by `received_at`, and its key is (`received_at`, `id`). A list reads
//! along the key, the index of deliveries that were not stored, or the index by session. The time
//! filters limit the partitions that are read. For a filter without an index, a page scans a
//! bounded part of the log.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::DeliveryRow;
use crate::domain::Outcome;
use crate::store::page::{AFTER_ALL, BEFORE_ALL, Order, PageRequest, Position};
use crate::store::{Store, StoreError};

/// Most sessions with one sender's ID whose deliveries are listed; they differ in agent or source.
const MAX_NAMESAKES: i64 = 1_000;

/// Deliveries that a page scans if the filter has no index: a tenth of a second, or a few tenths if
/// they are not in memory. The first size is enough if matches are frequent.
const SCAN_SIZES: [i64; 2] = [2_000, 100_000];

/// Filter of a list of deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Only those that name one of these agents; `None` is all, including those that name none.
    pub agents: Option<Vec<String>>,
    /// Only those of the sessions with this ID, the sender's or ours.
    pub session_id: Option<String>,
    /// Scan the log without a limit until the page is full. For bound keys: the end of a limited
    /// scan would reveal how much other agents deliver.
    pub until_full: bool,
    /// Only with one of these outcomes.
    pub outcomes: Option<Vec<Outcome>>,
    /// Only from this source.
    pub source: Option<String>,
    /// Only with this event type.
    pub event_type: Option<String>,
    /// Only in quarantine with this text in the reason.
    pub reason: Option<String>,
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

    /// Returns true if no stored delivery matches.
    fn excludes_stored(&self) -> bool {
        self.outcomes.as_ref().is_some_and(|outcomes| !outcomes.contains(&Outcome::Stored))
    }

    /// Returns true if the filter has no index, so that a page scans a bounded part of the log.
    fn needs_bounded_scan(&self) -> bool {
        let filters = self.agents.is_some() || self.source.is_some() || self.event_type.is_some();
        filters && !self.until_full && self.session_id.is_none() && !self.excludes_stored()
    }

    /// Returns the first and last time that a page can contain, from the filter and the page's
    /// start.
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

/// Page of the log.
#[derive(Debug, Default)]
pub struct DeliveryPage {
    /// Deliveries that were found.
    pub rows: Vec<DeliveryRow>,
    /// End of the scan, if the page ends because of its limit.
    pub reached: Option<Position>,
}

/// Reads a page of deliveries. `$head` selects the index; `$beyond` and `$within` compare a row
/// with the page's start and with its `end`.
macro_rules! list_deliveries {
    (
        $head:tt, $order:tt, $beyond:tt, $within:tt,
        $store:ident, $filter:ident, $sessions:ident, $page:ident, $end:ident
    ) => {{
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
                d.session_id AS session,
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
                AND (received_at, id) "#
                + $within
                + r#" ($11, $12)
                AND ($6::text[] IS NULL OR agent_id = ANY ($6))
                AND ($7::text IS NULL OR source = $7)
                AND ($8::text IS NULL OR event_type = $8)
                AND ($10::uuid[] IS NULL OR session_id = ANY ($10))
                AND ($13::text IS NULL OR position($13 IN reason) > 0)
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
            $filter.agents.as_deref(),
            $filter.source.as_deref(),
            $filter.event_type.as_deref(),
            i64::from($page.limit),
            $sessions.as_deref(),
            $end.at,
            $end.key,
            $filter.reason.as_deref()
        )
        .fetch_all(&$store.pool)
        .await
    }};
}

/// Reads along the key, for lists that include stored deliveries.
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

/// Reads along `deliveries_not_stored` for each outcome and merges the rows. Such deliveries are
/// few, and the key would lead past millions of others.
macro_rules! unstored_deliveries {
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

/// Returns the position after all deliveries in the direction of a list.
fn end_of_all(order: Order) -> Position {
    match order {
        Order::Desc => Position { at: BEFORE_ALL, key: Uuid::nil() },
        Order::Asc => Position { at: AFTER_ALL, key: Uuid::max() },
    }
}

impl Store {
    /// Returns a page of the log of deliveries, in order of arrival.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<DeliveryPage, StoreError> {
        let sessions = match &filter.session_id {
            Some(name) => Some(self.sessions_called(name, filter.agents.as_deref()).await?),
            None => None,
        };
        if sessions.as_ref().is_some_and(Vec::is_empty) {
            return Ok(DeliveryPage::default());
        }
        if filter.needs_bounded_scan() {
            return self.scan_deliveries(filter, page).await;
        }
        let rows = self.deliveries_up_to(filter, sessions, page, end_of_all(page.order)).await?;
        Ok(DeliveryPage { rows, reached: None })
    }

    /// Returns the matches in a bounded part of the log. A short part is scanned first: most
    /// filters find enough in it.
    async fn scan_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
    ) -> Result<DeliveryPage, StoreError> {
        let mut found = DeliveryPage::default();
        for size in SCAN_SIZES {
            let end = self.end_of_scan(filter, page, size).await?;
            let up_to = end.clone().unwrap_or_else(|| end_of_all(page.order));
            let rows = self.deliveries_up_to(filter, None, page, up_to).await?;
            let is_full = rows.len() >= page.limit as usize;
            let is_last = is_full || end.is_none();
            found = DeliveryPage { rows, reached: end.filter(|_| !is_full) };
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Returns the position of the last of `size` deliveries from the page's start, matching or
    /// not. Returns `None` if there are fewer.
    async fn end_of_scan(
        &self,
        filter: &DeliveryFilter,
        page: &PageRequest,
        size: i64,
    ) -> Result<Option<Position>, StoreError> {
        let (from, to) = filter.bounds(page);
        let (start_at, start_id) = page.start();
        macro_rules! end {
            ($order:tt, $beyond:tt) => {
                query!(
                    r#"SELECT received_at, id
                     FROM deliveries
                     WHERE received_at BETWEEN $1 AND $2 AND (received_at, id) "#
                        + $beyond
                        + r#" ($3, $4)
                     ORDER BY received_at "#
                        + $order
                        + r#", id "#
                        + $order
                        + r#"
                     OFFSET $5
                     LIMIT 1"#,
                    from,
                    to,
                    start_at,
                    start_id,
                    size - 1
                )
                .fetch_optional(&self.pool)
                .await?
                .map(|end| Position { at: end.received_at, key: end.id })
            };
        }
        Ok(match page.order {
            Order::Desc => end!("DESC", "<"),
            Order::Asc => end!("ASC", ">"),
        })
    }

    /// Returns the deliveries of a page up to `end`, inclusive.
    async fn deliveries_up_to(
        &self,
        filter: &DeliveryFilter,
        sessions: Option<Vec<Uuid>>,
        page: &PageRequest,
        end: Position,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = match (filter.excludes_stored(), page.order) {
            (false, Order::Desc) => {
                all_deliveries!("DESC", "<", ">=", self, filter, sessions, page, end)
            }
            (false, Order::Asc) => {
                all_deliveries!("ASC", ">", "<=", self, filter, sessions, page, end)
            }
            (true, Order::Desc) => {
                unstored_deliveries!("DESC", "<", ">=", self, filter, sessions, page, end)
            }
            (true, Order::Asc) => {
                unstored_deliveries!("ASC", ">", "<=", self, filter, sessions, page, end)
            }
        };
        Ok(rows?)
    }

    /// Returns our IDs of the agents' sessions with this sender's ID. If `name` is one of our IDs,
    /// it is included without a check: the log outlives sessions.
    pub(in crate::store) async fn sessions_called(
        &self,
        name: &str,
        agents: Option<&[String]>,
    ) -> Result<Vec<Uuid>, StoreError> {
        let ids = query_scalar!(
            "SELECT id
             FROM sessions
             WHERE sender_session_id = $1 AND ($2::text[] IS NULL OR agent_id = ANY ($2))
             LIMIT $3",
            name,
            agents,
            MAX_NAMESAKES
        );
        let mut ids = ids.fetch_all(&self.pool).await?;
        ids.extend(Uuid::try_parse(name));
        Ok(ids)
    }
}
