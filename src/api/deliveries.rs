//! `GET /v1/deliveries`, `GET /v1/deliveries/{id}` and `POST /v1/deliveries/{id}/retry`: what
//! arrived and what became of it.
//!
//! A key that is bound to agents sees the deliveries that name them. What could not be read names
//! nobody, so the quarantine is for keys that see everything.

use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::list::{self, Listing, Page};
use super::openapi::{InZone, Paging, Time};
use super::params::{Params, path_id};
use super::sessions::visible;
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::domain::{Outcome, Unreadable};
use crate::drain::retry::{NotRetried, retry};
use crate::problem::{Code, Problem};
use crate::store::deliveries::{DeliveryFilter, DeliveryPage, DeliveryRow};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

const DELIVERIES: Listing = Listing {
    scope: Scope::Admin,
    params: &[
        "limit",
        "cursor",
        "order",
        "outcome",
        "source",
        "event_type",
        "agent_id",
        "session_id",
        "reason",
        "received_after",
        "received_before",
        "tz",
    ],
    repeatable: &["outcome", "agent_id"],
    order: Order::Desc,
};

/// Something that arrived.
#[derive(Debug, Serialize, ToSchema)]
struct Delivery<'a> {
    /// Ours, new for every request.
    id: Uuid,
    /// When it arrived.
    received_at: Timestamp,
    /// The source that let it in.
    source: &'a str,
    /// The contract that it follows: `a`, `b`, `c`, `d` or `account`; `null` in quarantine.
    generation: Option<&'a str>,
    /// The sender's name for the event; `null` in quarantine.
    event_type: Option<&'a str>,
    /// `stored`, `duplicate`, `test`, `unhandled` or `quarantined`.
    outcome: &'a str,
    /// Why it is in quarantine.
    reason: Option<&'a str>,
    /// The agent that it names, if it names one.
    agent_id: Option<&'a str>,
    /// The sender's id of the conversation that it belongs to, if it belongs to one.
    session_id: Option<&'a str>,
    /// Its body's size.
    size_bytes: i32,
    /// The sender's id of it, the same on every attempt.
    sender_delivery_id: Option<&'a str>,
    /// It carried a signature, which was right.
    signed: bool,
    /// Its signed timestamp was more than five minutes from our clock.
    stale: bool,
    /// It said that it is a test.
    test: bool,
}

/// Something that arrived, with its bytes.
#[derive(Debug, Serialize, ToSchema)]
struct WholeDelivery<'a> {
    #[serde(flatten)]
    about: Delivery<'a>,
    /// The exact bytes.
    body_base64: String,
    /// The same as text; `null` where they are no UTF-8.
    body: Option<&'a str>,
    /// Our id of the conversation that it belongs to; `null` where that is gone.
    #[schema(example = "01999a2c-3f0b-5d51-9c55-3a1c8e0f2b64")]
    session: Option<Uuid>,
    /// Id of the message that it became, or that it repeats; `null` where it is none, or is gone.
    #[schema(example = "f6262f12-ebfc-8b5f-a08f-6549489bb92a")]
    message_id: Option<Uuid>,
}

impl<'a> Delivery<'a> {
    fn new(row: &'a DeliveryRow) -> Self {
        Self {
            id: row.id,
            received_at: Timestamp(row.received_at),
            source: &row.source,
            generation: row.generation.as_deref(),
            event_type: row.event_type.as_deref(),
            outcome: &row.outcome,
            reason: row.reason.as_deref(),
            agent_id: row.agent_id.as_deref(),
            session_id: row.session_id.as_deref(),
            size_bytes: row.size_bytes,
            sender_delivery_id: row.sender_delivery_id.as_deref(),
            signed: row.signed,
            stale: row.stale,
            test: row.test,
        }
    }
}

impl<'a> WholeDelivery<'a> {
    fn new(row: &'a DeliveryRow, message_id: Option<Uuid>) -> Self {
        let body = row.body.as_deref().unwrap_or_default();
        Self {
            about: Delivery::new(row),
            body_base64: STANDARD.encode(body),
            body: str::from_utf8(body).ok(),
            session: row.session.filter(|_| row.session_id.is_some()),
            message_id,
        }
    }
}

/// Deliveries, the latest first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "Deliveries",
    params(Paging, InZone,
        ("outcome" = Vec<String>, Query, description = "What became of it; may repeat, or have commas between."),
        ("source" = Option<String>, Query, description = "Let in by this source."),
        ("event_type" = Option<String>, Query, description = "The sender's name for the event."),
        ("agent_id" = Vec<String>, Query, description = "Naming one of these agents; may repeat."),
        ("session_id" = Option<String>, Query, description = "Of this conversation, by the sender's \
            id or ours; by ours alone where the conversation itself is gone for its age."),
        ("reason" = Option<String>, Query, description = "In quarantine, with this text in the reason."),
        ("received_after" = Option<Time>, Query, description = "Arrived later than this."),
        ("received_before" = Option<Time>, Query, description = "Arrived earlier than this.")),
    responses((status = 200, description = "Deliveries, without their bytes.", body = Page<Delivery>)),
    security(("key" = ["admin"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = DELIVERIES.read(&req, &caller, &state).await?;
    let filter = filter(&params, &caller)?;
    let DeliveryPage { mut rows, reached } =
        state.store.list_deliveries(&filter, &list.page()).await?;
    let next = match reached {
        Some(reached) => Some(list.cursor(&reached)),
        None => list.cut(&mut rows, |row| Position { at: row.received_at, key: row.id }),
    };
    Ok(list::answer(req.uri(), rows.iter().map(Delivery::new).collect(), next)?.into())
}

/// Which deliveries are asked for.
pub(super) fn filter(params: &Params, caller: &Caller) -> Result<DeliveryFilter, Problem> {
    let text = |name| params.text(name).map(str::to_owned);
    let outcomes = params.choices("outcome", &Outcome::ALL.map(|each| (each.as_str(), each)))?;
    let reason = text("reason");
    // Nothing else has a reason.
    let quarantined = reason.is_some().then(|| vec![Outcome::Quarantined]);
    Ok(DeliveryFilter {
        agents: visible(caller, params.texts("agent_id")),
        session_id: text("session_id"),
        until_full: caller.agents().is_some(),
        outcomes: outcomes.or(quarantined),
        source: text("source"),
        event_type: text("event_type"),
        reason,
        received_after: params.time("received_after")?,
        received_before: params.time("received_before")?,
    })
}

/// One delivery with its bytes.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "Deliveries",
    responses((status = 200, description = "The delivery.", body = WholeDelivery), (status = 304)),
    security(("key" = ["admin"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = find(&req, &caller, &state).await?;
    let message_id = state.store.message_of(&row).await?;
    Ok(Answer::of(&WholeDelivery::new(&row, message_id))?.tagged(&req))
}

/// Takes a delivery out of quarantine, where it can be stored by now.
#[utoipa::path(post, path = "/v1/deliveries/{id}/retry", tag = "Deliveries",
    responses((status = 200, description = "What became of it.", body = Delivery),
        (status = 409, description = "conflict"), (status = 422, description = "unreadable_delivery")),
    security(("key" = ["admin"])))]
pub(super) async fn retry_one(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = find(&req, &caller, &state).await?;
    if !row.is_quarantined() {
        return Err(not_quarantined(&row));
    }
    let arrival = row.arrival().map_err(Problem::internal)?;
    let retried = retry(&state.store, &arrival).await;
    // What it is now, whoever made it so.
    let row = find(&req, &caller, &state).await?;
    match retried {
        Ok(_) => Ok(Answer::of(&Delivery::new(&row))?.into()),
        Err(NotRetried::NotQuarantined) => Err(not_quarantined(&row)),
        Err(NotRetried::Unreadable(fault)) => Err(unreadable(&fault)),
        Err(NotRetried::Store(error)) => Err(error.into()),
    }
}

async fn find(
    req: &HttpRequest,
    caller: &Caller,
    state: &ApiState,
) -> Result<DeliveryRow, Problem> {
    caller.require(Scope::Admin)?;
    Params::parse(req, &[], &[])?;
    let none = || Problem::new(Code::NotFound, "There is no such delivery, or not any more.");
    let id = Uuid::try_parse(&path_id(req)?).map_err(|_| none())?;
    state.store.find_delivery(id, caller.agents()).await?.ok_or_else(none)
}

fn not_quarantined(row: &DeliveryRow) -> Problem {
    let detail = format!("Only what is in quarantine can be retried; this is `{}`.", row.outcome);
    Problem::new(Code::Conflict, detail).with("outcome", row.outcome.as_str())
}

fn unreadable(fault: &Unreadable) -> Problem {
    let Unreadable { field, problem } = fault;
    let detail = format!("The field {field}: {problem}. It stays in quarantine as it was.");
    Problem::new(Code::UnreadableDelivery, detail).with("field", *field)
}
