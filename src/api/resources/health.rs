//! `/healthz` and `/readyz`, for machines; no key is needed.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use tokio::sync::watch;

use crate::api::views::health::{
    Alive, FiguresState, InboxState, LastDeliveries, PostgresState, Readiness, Ready, RebuildState,
    SearchState, Standby,
};
use crate::api::views::timestamp::Timestamp;
use crate::clock::Clock;
use crate::drain::attempts::Attempts;
use crate::inbox::{Depth, Inbox};
use crate::jobs::database_health::DatabaseHealth;
use crate::jobs::replica::Replica;
use crate::postgres::SchemaState;
use crate::store::facts::FactsLag;
use crate::store::search::{IndexBacklog, Rebuild};
use crate::telemetry::Metrics;

/// Room for a usual delivery: an inbox with less left rejects most of them, before its quota is used
/// up to the byte.
const ORDINARY_DELIVERY: u64 = 4 << 10;

/// State of the service, from which both answers are made.
#[derive(Clone)]
pub struct Health {
    /// The inbox, which accepts deliveries or not.
    pub inbox: Inbox,
    /// Deliveries that are not yet in Postgres.
    pub depth: watch::Receiver<Depth>,
    /// Limit on the bytes of these deliveries: beyond it, the inbox accepts no more.
    pub inbox_quota_bytes: u64,
    /// State of the database.
    pub database_health: watch::Receiver<DatabaseHealth>,
    /// The last attempts to write deliveries to Postgres.
    pub attempts: Attempts,
    /// The private database was made by this start.
    pub is_first_start: bool,
    /// State of the schema.
    pub schema: watch::Receiver<SchemaState>,
    /// Lag of the search index; `None` before the first measurement.
    pub search: watch::Receiver<Option<IndexBacklog>>,
    /// Lag of the figures; `None` before the first batch.
    pub figures: watch::Receiver<Option<FactsLag>>,
    /// The standby that answers are read from, where one is configured.
    pub replica: Option<Replica>,
    /// Metrics, with the times of the latest deliveries and commits.
    pub metrics: Arc<Metrics>,
    /// Clock.
    pub clock: Clock,
}

/// State of the service at one moment.
pub(crate) struct Standing {
    pub(crate) writable: bool,
    pub(crate) depth: Depth,
    pub(crate) oldest_age_seconds: Option<f64>,
    pub(crate) database_health: DatabaseHealth,
    /// Postgres accepts deliveries, judged by the last attempt and the last answer.
    pub(crate) takes_writes: bool,
    pub(crate) schema: SchemaState,
    pub(crate) search: Option<SearchState>,
    pub(crate) figures: Option<FiguresState>,
    pub(crate) replica: Option<Standby>,
}

impl Health {
    pub(crate) fn standing(&self) -> Standing {
        let depth = *self.depth.borrow();
        let has_room = depth.bytes + ORDINARY_DELIVERY <= self.inbox_quota_bytes;
        let now = self.clock.now();
        let (database_health, schema) = (*self.database_health.borrow(), *self.schema.borrow());
        Standing {
            writable: self.inbox.is_writable() && has_room,
            depth,
            oldest_age_seconds: depth.oldest_at.map(|at| (now - at).as_seconds_f64().max(0.0)),
            takes_writes: database_health.reachable
                && !database_health.read_only
                && schema == SchemaState::Current
                && !self.attempts.have_failed(),
            database_health,
            schema,
            search: self.search.borrow().map(|IndexBacklog { entries, waiting_since, rebuild }| {
                let waiting = waiting_since.map(|since| (now - since).as_seconds_f64().max(0.0));
                SearchState {
                    lag_entries: entries,
                    lag_seconds: waiting.unwrap_or(0.0),
                    rebuild: rebuild.map(|Rebuild { done, of }| RebuildState {
                        done_entries: done,
                        of_entries: of,
                    }),
                }
            }),
            figures: self.figures.borrow().map(|lag| {
                let waiting = lag.waiting_since.map(|since| (now - since).as_seconds_f64());
                FiguresState {
                    lag_entries: lag.entries,
                    lag_seconds: waiting.unwrap_or(0.0).max(0.0),
                }
            }),
            replica: self.replica.as_ref().map(Standby::of),
        }
    }
}

impl Standing {
    /// Returns true for a start without a schema yet and without an older one to serve from. A start that
    /// waits for an absent database is none, because the inbox keeps deliveries.
    fn is_starting(&self, is_first_start: bool) -> bool {
        match self.schema {
            SchemaState::Empty => true,
            SchemaState::Unchecked => {
                is_first_start
                    || self.database_health.reachable
                    || self.database_health.since.is_none()
            }
            SchemaState::Unknown => is_first_start,
            SchemaState::Current
            | SchemaState::Pending
            | SchemaState::Newer
            | SchemaState::Altered => false,
        }
    }
}

/// The process runs and answers.
#[utoipa::path(get, path = "/healthz", tag = "Service",
    responses((status = 200, description = "It does.", body = Alive)))]
pub(crate) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "ok" })
}

/// Readiness to accept deliveries.
///
/// 200 while they can be made durable somewhere: a balancer that took an instance away because
/// Postgres is down would lose what the inbox could have kept. 503 `starting` until a first start
/// has made the schema.
#[utoipa::path(get, path = "/readyz", tag = "Service",
    responses((status = 200, description = "Deliveries are taken.", body = Ready),
        (status = 503, description = "They are not.", body = Ready)))]
pub(crate) async fn ready(health: web::Data<Health>) -> HttpResponse {
    let standing = health.standing();
    let status = match (standing.writable, standing.takes_writes) {
        (false, false) => Readiness::Unavailable,
        _ if standing.is_starting(health.is_first_start) => Readiness::Starting,
        (true, true) => Readiness::Ready,
        _ => Readiness::Degraded,
    };
    let body = describe(status, &standing, &health.metrics);
    match status {
        Readiness::Starting | Readiness::Unavailable => {
            HttpResponse::ServiceUnavailable().json(body)
        }
        Readiness::Ready | Readiness::Degraded => HttpResponse::Ok().json(body),
    }
}

fn describe(status: Readiness, standing: &Standing, metrics: &Metrics) -> Ready {
    let Metrics { webhook, drain, .. } = metrics;
    let database_health = standing.database_health;
    Ready {
        status,
        inbox: InboxState {
            writable: standing.writable,
            deliveries: standing.depth.deliveries,
            bytes: standing.depth.bytes,
            oldest_age_seconds: standing.oldest_age_seconds,
        },
        postgres: PostgresState {
            reachable: database_health.reachable,
            writable: standing.takes_writes,
            since: database_health.since.map(Timestamp),
            schema: standing.schema.as_str(),
            last_commit_at: drain.last_commit_at().map(Timestamp),
        },
        deliveries: LastDeliveries {
            last_received_at: webhook.last_received_at().map(Timestamp),
            last_test_at: webhook.last_test_at().map(Timestamp),
        },
        search: standing.search,
        figures: standing.figures,
        replica: standing.replica,
    }
}
