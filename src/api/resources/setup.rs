//! `GET /v1/setup` and `POST /v1/setup/test`: set-up of sources, health of the service, and a test
//! delivery.
//!
//! Both concern all agents, so a key that is bound to agents is rejected.

use crate::api::resources::health::Standing;
use crate::api::views::setup::{
    Credential, Disk, Drain, Inbox, Latency, SetupHealth, Source, Versions,
};
use crate::config::SourceSettings;
use crate::store::setup::LatestDeliveries;
use crate::telemetry::metrics::EventKind;
use nix::sys::statvfs::statvfs;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::http::header::HOST;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use crate::api::query::invalid::invalid;
use crate::api::query::read::read_nothing;
use crate::api::resources::health::Health;
use crate::api::views::setup::{Refusal, Setup};
use crate::api::views::test_delivery::{NewTest, TestResult};
use crate::api::views::timestamp::Timestamp;
use crate::api::{ApiState, Caller};
use crate::config::RetentionRules;
use crate::ingress::body;
use crate::ingress::body::BodyLimit;
use crate::problem::responses::{ApiErrors, Errors, NotFound, PayloadTooLarge};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::store::setup::DeliveryOutcome;
use crate::webhook::test_sender::{Sent, TestSender, path};

/// Largest body of a test.
const BODY: BodyLimit = BodyLimit { max_bytes: 4 << 10, name: "A test", hint: "" };
/// Longest wait for a test delivery on its way to PostgreSQL.
const DRAINED_WITHIN: Duration = Duration::from_secs(3);
/// Time between two reads of the log for it.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

/// State of the handlers beside the API's, from the settings.
#[derive(Clone)]
pub struct SetupState {
    /// Sends test deliveries, and knows the sources.
    pub test_sender: TestSender,
    /// The data folder.
    pub data_dir: PathBuf,
    /// Settings of retention.
    pub keep: RetentionRules,
    /// Start of the service.
    pub started_at: DateTime<Utc>,
}

/// Set-up of sources, reasons for rejected deliveries, and health of the service.
///
/// It answers without the database, too, with null for values that only the database has. It never
/// shows values of credentials. A key that is bound to agents is rejected.
#[utoipa::path(get, path = "/v1/setup", tag = "Set-up",
    responses((status = 200, description = "Sources and health.", body = Setup),
        Errors<ApiErrors>),
    security(("key" = ["admin"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
    health: web::Data<Health>,
    setup: web::Data<SetupState>,
) -> Result<HttpResponse, Problem> {
    require_unbound_admin(&caller)?;
    read_nothing(&req)?;
    let now = state.clock.now();
    let standing = health.standing();
    let settings = setup.test_sender.sources();
    let names: Vec<String> = settings.iter().map(|one| one.name.to_string()).collect();
    let (latest, postgresql) = if standing.database_health.reachable {
        let (latest, version) =
            tokio::join!(state.store.latest_deliveries(&names), state.store.server_version());
        (latest.unwrap_or_default(), version.ok())
    } else {
        (Vec::new(), None)
    };
    let webhook = &health.metrics.webhook;
    let unknown = webhook.recent_refusals(None, now).into_iter().next();
    let base = base_url(&req, &state);
    let sources = settings.iter().map(|one| source(one, &health, &latest, base.as_deref(), now));
    let answer = Setup {
        as_of: Timestamp(now),
        sources: sources.collect(),
        unknown_source: unknown.map(|(reason, recent)| Refusal::new(reason, recent)),
        health: service_health(&standing, &health, &setup, postgresql).await,
    };
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(answer))
}

/// Sends a test delivery to the service's own listener, with the credentials of a source.
///
/// It takes the same way as the sender's deliveries, and has the mark of the sender's test unless
/// `real` is true. The answer waits up to 3 seconds until the delivery is
/// in PostgreSQL.
#[utoipa::path(post, path = "/v1/setup/test", tag = "Set-up", request_body = NewTest,
    responses((status = 200, description = "Result, also of a rejected delivery.", body = TestResult),
        Errors<(ApiErrors, NotFound, PayloadTooLarge)>),
    security(("key" = ["admin"])))]
pub(crate) async fn test(
    req: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<ApiState>,
    setup: web::Data<SetupState>,
) -> Result<HttpResponse, Problem> {
    require_unbound_admin(&caller)?;
    read_nothing(&req)?;
    let mut room = state.ingress.bodies.room(state.ingress.client(req.head()));
    let test = NewTest::parse(&body::read(payload, req.headers(), BODY, &mut room).await?)?;
    let test_sender = &setup.test_sender;
    let source = test_sender.source(&test.source).ok_or_else(|| {
        let names = test_sender.sources();
        let names: Vec<_> = names.iter().map(|source| source.name.as_str()).collect();
        invalid("source", &format!("is one of: {}", names.join(", ")))
    })?;
    let began = state.clock.now();
    let sent = test_sender.send(source, test.event.into(), !test.real, began).await;
    tracing::info!(source = %source.name, status = sent.status, real = test.real,
        "test delivery sent");
    let became = find(&state, &sent, (began, state.clock.now())).await;
    let answer = TestResult::new(test, sent, became);
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(answer))
}

pub(crate) fn require_unbound_admin(caller: &Caller) -> Result<(), Problem> {
    caller.require(Scope::Admin)?;
    if caller.is_bound() {
        let detail = "This is about all agents, and this key is bound to some.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Ok(())
}

/// Waits until an accepted delivery is in the log. Does not wait for an absent database.
async fn find(
    state: &ApiState,
    sent: &Sent,
    times: (DateTime<Utc>, DateTime<Utc>),
) -> Option<DeliveryOutcome> {
    // A delivery in quarantine is in the log, too.
    if !matches!(sent.status, Some(200 | 422)) {
        return None;
    }
    let deadline = Instant::now() + DRAINED_WITHIN;
    loop {
        let found = state.store.delivery_sent_as(&sent.delivery_id, times).await.ok()?;
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Returns scheme and host of a request.
fn base_url(req: &HttpRequest, state: &ApiState) -> Option<String> {
    let host = req.headers().get(HOST)?.to_str().ok()?;
    let scheme = if state.ingress.is_https(req.head()) { "https" } else { "http" };
    (!host.is_empty()).then(|| format!("{scheme}://{host}"))
}

fn source(
    settings: &SourceSettings,
    health: &Health,
    latest: &[LatestDeliveries],
    base: Option<&str>,
    now: DateTime<Utc>,
) -> Source {
    let webhook = &health.metrics.webhook;
    let name = &settings.name;
    let stored = latest.iter().find(|one| one.source == name.as_str());
    let received_at = stored.and_then(|one| one.received_at);
    let test_at = stored.and_then(|one| one.test_at);
    let mut refusals: Vec<_> = webhook
        .recent_refusals(Some(name), now)
        .into_iter()
        .map(|(reason, recent)| Refusal::new(reason, recent))
        .collect();
    Refusal::sort(&mut refusals);
    let path = path(name);
    Source {
        name: name.to_string(),
        url: base.map(|base| format!("{base}{path}")),
        path,
        credentials: Credential::of(settings),
        last_delivery_at: received_at.max(webhook.last_real_of(name)).map(Timestamp),
        last_test_at: test_at.max(webhook.last_test_of(name)).map(Timestamp),
        refusals,
    }
}

async fn service_health(
    standing: &Standing,
    health: &Health,
    setup: &SetupState,
    postgresql: Option<String>,
) -> SetupHealth {
    let webhook = &health.metrics.webhook;
    let spreads = [("room.join", EventKind::Join), ("other", EventKind::Other)];
    let latency = spreads.into_iter().filter_map(|(event, seen)| {
        webhook.latest_times(seen).map(|spread| Latency::new(event, spread))
    });
    SetupHealth {
        inbox: Inbox {
            writable: standing.writable,
            deliveries: standing.depth.deliveries,
            bytes: standing.depth.bytes,
            quota_bytes: health.inbox_quota_bytes,
            oldest_age_seconds: standing.oldest_age_seconds,
        },
        drain: Drain {
            reachable: standing.database_health.reachable,
            failing: !standing.takes_writes,
            last_commit_at: health.metrics.drain.last_commit_at().map(Timestamp),
        },
        search: standing.search,
        figures: standing.figures,
        latency: latency.collect(),
        disk: disk(setup.data_dir.clone()).await.into_iter().collect(),
        versions: Versions {
            verbatim: env!("CARGO_PKG_VERSION"),
            postgresql,
            schema: standing.schema.as_str(),
        },
        started_at: Timestamp(setup.started_at),
    }
}

/// Returns the disk of the data folder. Off the worker: a network disk may not answer.
async fn disk(data_dir: PathBuf) -> Option<Disk> {
    let found = web::block(move || statvfs(&data_dir).ok()).await.ok().flatten()?;
    let block = found.fragment_size();
    let bytes = |blocks: u64| blocks.saturating_mul(block);
    Some(Disk {
        holds: "data",
        free_bytes: bytes(found.blocks_available()),
        total_bytes: bytes(found.blocks()),
    })
}
