//! `/healthz` and `/readyz`, for machines; no key is needed.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::timestamp::Timestamp;
use crate::clock::Clock;
use crate::drain::attempts::Attempts;
use crate::inbox::{Depth, Inbox};
use crate::jobs::pulse::Pulse;
use crate::jobs::replica::{Replica, ReplicaState};
use crate::postgres::SchemaState;
use crate::store::facts::FactsLag;
use crate::store::search::{IndexStanding, Rebuild};
use crate::telemetry::Metrics;

/// Room that a delivery wants: an inbox that has less left refuses most of them, long before its
/// quota is used up to the byte.
const ORDINARY_DELIVERY: u64 = 4 << 10;

/// What the two answers are made from.
#[derive(Clone)]
pub struct Health {
    /// Tells whether deliveries can be written.
    pub inbox: Inbox,
    /// How far Postgres is behind.
    pub depth: watch::Receiver<Depth>,
    /// The room that undrained deliveries may take: with all of it taken, no more are written.
    pub inbox_quota_bytes: u64,
    /// Whether Postgres answers.
    pub pulse: watch::Receiver<Pulse>,
    /// The last attempts to write deliveries to Postgres.
    pub attempts: Attempts,
    /// The private database was made by this start.
    pub is_first_start: bool,
    /// Whether the schema is what this version needs.
    pub schema: watch::Receiver<SchemaState>,
    /// How far search is behind; `None` before the indexer first looked.
    pub search: watch::Receiver<Option<IndexStanding>>,
    /// How far figures are behind; `None` before the first batch.
    pub figures: watch::Receiver<Option<FactsLag>>,
    /// The standby that answers are read from, where one is configured.
    pub replica: Option<Replica>,
    /// Tells what came last, and what Postgres took last.
    pub metrics: Arc<Metrics>,
    /// Tells ages.
    pub clock: Clock,
}

/// How things stand, at one moment.
pub(super) struct Standing {
    pub(super) writable: bool,
    pub(super) depth: Depth,
    pub(super) oldest_age_seconds: Option<f64>,
    pub(super) pulse: Pulse,
    /// Postgres takes deliveries, as far as the last attempt and the last answer tell.
    pub(super) takes_writes: bool,
    pub(super) schema: SchemaState,
    pub(super) search: Option<SearchState>,
    pub(super) figures: Option<FiguresState>,
    pub(super) replica: Option<Standby>,
}

impl Health {
    pub(super) fn standing(&self) -> Standing {
        let depth = *self.depth.borrow();
        let has_room = depth.bytes + ORDINARY_DELIVERY <= self.inbox_quota_bytes;
        let now = self.clock.now();
        let (pulse, schema) = (*self.pulse.borrow(), *self.schema.borrow());
        Standing {
            writable: self.inbox.is_writable() && has_room,
            depth,
            oldest_age_seconds: depth.oldest_at.map(|at| (now - at).as_seconds_f64().max(0.0)),
            takes_writes: pulse.reachable
                && !pulse.read_only
                && schema == SchemaState::Current
                && !self.attempts.have_failed(),
            pulse,
            schema,
            search: self.search.borrow().map(
                |IndexStanding { entries, waiting_since, rebuild }| {
                    let waiting =
                        waiting_since.map(|since| (now - since).as_seconds_f64().max(0.0));
                    SearchState {
                        lag_entries: entries,
                        lag_seconds: waiting.unwrap_or(0.0),
                        rebuild: rebuild.map(|Rebuild { done, of }| RebuildState {
                            done_entries: done,
                            of_entries: of,
                        }),
                    }
                },
            ),
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

/// Where the service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Readiness {
    /// All is well.
    Ready,
    /// Deliveries are taken, and one of inbox and Postgres is out of order.
    Degraded,
    /// The schema is being made for the first time: nothing can be read yet.
    Starting,
    /// A delivery can be made durable nowhere.
    Unavailable,
}

impl Standing {
    /// A start that has not come to its schema yet, and has nothing older to serve from. Not one
    /// that waits for a database that is away, since deliveries are kept meanwhile.
    fn is_starting(&self, is_first_start: bool) -> bool {
        match self.schema {
            SchemaState::Empty => true,
            SchemaState::Unchecked => {
                is_first_start || self.pulse.reachable || self.pulse.since.is_none()
            }
            SchemaState::Unknown => is_first_start,
            SchemaState::Current
            | SchemaState::Pending
            | SchemaState::Newer
            | SchemaState::Altered => false,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct Ready {
    status: Readiness,
    inbox: InboxState,
    postgres: PostgresState,
    deliveries: LastDeliveries,
    /// Null before it was first looked at.
    search: Option<SearchState>,
    /// Null before the first batch.
    figures: Option<FiguresState>,
    /// Null where no standby is configured.
    replica: Option<Standby>,
}

/// The standby that answers are read from. While it is not used, they are read from the primary.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct Standby {
    /// Answers are read from it.
    pub(super) used: bool,
    /// `used`, `catching_up`, `lagging`, `unreachable`, `promoted` (it takes writes of its own),
    /// `other_timeline`, `other_cluster`, or `unchecked` before it was measured.
    #[schema(example = "used")]
    state: &'static str,
    /// Since when; null before it was measured.
    since: Option<Timestamp>,
    /// How far it is behind the primary; null where that is not known.
    pub(super) lag_seconds: Option<f64>,
    /// Bytes of the log that it has not replayed; null where that is not known.
    pub(super) lag_bytes: Option<i64>,
}

impl Standby {
    fn of(replica: &Replica) -> Self {
        let standing = replica.standing();
        Self {
            used: standing.state == ReplicaState::Used,
            state: standing.state.as_str(),
            since: standing.since.map(Timestamp),
            lag_seconds: standing.lag_seconds,
            lag_bytes: standing.lag_bytes,
        }
    }
}

/// Distance of figures from what is stored. They catch up by themselves.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct FiguresState {
    /// Transactions of the drain that are not reflected yet.
    pub(super) lag_entries: i64,
    /// Seconds since the arrival of the oldest of them; 0 without any.
    pub(super) lag_seconds: f64,
}

/// How far search is behind what is stored. It catches up by itself.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct SearchState {
    /// Transactions of the drain whose messages cannot be found yet.
    pub(super) lag_entries: i64,
    /// Seconds since the oldest of them came; 0 where there is none.
    pub(super) lag_seconds: f64,
    /// How far a rebuild of the index has come, newest messages first; null where none runs.
    pub(super) rebuild: Option<RebuildState>,
}

/// How far a rebuild of the index has come: search finds what is done.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct RebuildState {
    /// Transactions of the drain whose messages are done.
    pub(super) done_entries: i64,
    /// All of them.
    pub(super) of_entries: i64,
}

#[derive(Serialize, ToSchema)]
struct InboxState {
    /// New deliveries can be written.
    writable: bool,
    /// Deliveries that are not yet in Postgres.
    deliveries: usize,
    /// The room that they take.
    bytes: u64,
    /// Seconds since the oldest of them arrived; null where there is none.
    oldest_age_seconds: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct PostgresState {
    reachable: bool,
    /// It takes deliveries: the last attempt to write did not fail, and it is not read-only.
    writable: bool,
    /// Since when it is reachable or not; null before the first answer.
    since: Option<Timestamp>,
    /// How the schema stands.
    schema: &'static str,
    /// When it last committed deliveries of ours.
    last_commit_at: Option<Timestamp>,
}

/// Of this process, and null before the first one.
#[derive(Serialize, ToSchema)]
struct LastDeliveries {
    last_received_at: Option<Timestamp>,
    /// The dashboard's Test button.
    last_test_at: Option<Timestamp>,
}

/// The process lives.
#[derive(Serialize, ToSchema)]
struct Alive {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process runs and answers.
#[utoipa::path(get, path = "/healthz", tag = "Service",
    responses((status = 200, description = "It does.", body = Alive)))]
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(Alive { status: "ok" })
}

/// Whether deliveries can be taken.
///
/// 200 while they can be made durable somewhere: a balancer that took an instance away because
/// Postgres is down would lose what the inbox could have kept. 503 `starting` until a first start
/// has made the schema.
#[utoipa::path(get, path = "/readyz", tag = "Service",
    responses((status = 200, description = "Deliveries are taken.", body = Ready),
        (status = 503, description = "They are not.", body = Ready)))]
pub(super) async fn ready(health: web::Data<Health>) -> HttpResponse {
    let standing = health.standing();
    let is_starting = standing.is_starting(health.is_first_start);
    let Standing {
        writable,
        depth,
        oldest_age_seconds,
        pulse,
        takes_writes,
        schema,
        search,
        figures,
        replica,
    } = standing;
    let Metrics { webhook, drain, .. } = &*health.metrics;
    let status = match (writable, takes_writes) {
        (false, false) => Readiness::Unavailable,
        _ if is_starting => Readiness::Starting,
        (true, true) => Readiness::Ready,
        _ => Readiness::Degraded,
    };
    let body = Ready {
        status,
        inbox: InboxState {
            writable,
            deliveries: depth.deliveries,
            bytes: depth.bytes,
            oldest_age_seconds,
        },
        postgres: PostgresState {
            reachable: pulse.reachable,
            writable: takes_writes,
            since: pulse.since.map(Timestamp),
            schema: schema.as_str(),
            last_commit_at: drain.last_commit_at().map(Timestamp),
        },
        deliveries: LastDeliveries {
            last_received_at: webhook.last_received_at().map(Timestamp),
            last_test_at: webhook.last_test_at().map(Timestamp),
        },
        search,
        figures,
        replica,
    };
    match status {
        Readiness::Starting | Readiness::Unavailable => {
            HttpResponse::ServiceUnavailable().json(body)
        }
        Readiness::Ready | Readiness::Degraded => HttpResponse::Ok().json(body),
    }
}
