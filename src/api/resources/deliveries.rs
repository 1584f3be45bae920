//! `GET /v1/deliveries`, `GET /v1/deliveries/{id}` and `POST /v1/deliveries/{id}/retry`: the log of
//! deliveries.
//!
//! A key that is bound to agents sees the deliveries that name them. A delivery that could not be read
//! names no agent, so only keys that see everything see the quarantine.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::query::list;
use crate::api::query::parameters::{InZone, Paging};
use crate::api::query::path::path_id;
use crate::api::query::read::{And, read_nothing};
use crate::api::query::time::Time;
use crate::api::query::words::{AnyOf, Word};
use crate::api::views::delivery::{Delivery, WholeDelivery};
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::domain::{Outcome, Unreadable};
use crate::drain::retry::{NotRetried, retry};
use crate::problem::responses::{
    ApiErrors, Conflict, Errors, InvalidCursor, NotFound, UnreadableDelivery,
};
use crate::problem::{Code, Problem};
use crate::store::deliveries::{DeliveryFilter, DeliveryPage, DeliveryRow};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

/// Filters of deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryQuery {
    /// Outcome; may repeat, or have commas between. Only `quarantined` deliveries can be retried.
    #[param(inline, example = json!(["stored"]))]
    #[serde(default)]
    outcome: Outcomes,
    /// Source that accepted it.
    #[param(example = "default")]
    source: Option<String>,
    /// The sender's name for the event.
    #[param(example = "chat.push")]
    event_type: Option<String>,
    /// Naming one of these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Of this conversation, by the sender's id or ours; by ours alone where the conversation itself is
    /// deleted by retention.
    #[param(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
    /// In quarantine, with this text in the reason.
    #[param(example = "session_id")]
    reason: Option<String>,
    /// Arrived later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    received_after: Option<Time>,
    /// Arrived earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    received_before: Option<Time>,
}

/// Outcomes that a query names.
type Outcomes = AnyOf<Outcome>;

impl Word for Outcome {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl DeliveryQuery {
    /// Returns the filter that the query describes.
    pub(crate) fn filter(self, caller: &Caller) -> DeliveryFilter {
        // Only quarantined deliveries have a reason.
        let quarantined = self.reason.is_some().then(|| vec![Outcome::Quarantined]);
        DeliveryFilter {
            agents: caller.visible_of(self.agent_id),
            session_id: self.session_id,
            until_full: caller.agents().is_some(),
            outcomes: self.outcome.given().or(quarantined),
            source: self.source,
            event_type: self.event_type,
            reason: self.reason,
            received_after: self.received_after.map(Time::utc),
            received_before: self.received_before.map(Time::utc),
        }
    }
}

/// Deliveries, the latest first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "Deliveries",
    params(Paging, InZone, DeliveryQuery),
    responses((status = 200, description = "Deliveries, without their bytes.", body = Page<Delivery>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["admin"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let (And(_, query), list) =
        list::read::<And<InZone, DeliveryQuery>, _>(&req, Order::Desc, &caller, &state).await?;
    let filter = query.filter(&caller);
    let DeliveryPage { mut rows, reached } =
        state.store.list_deliveries(&filter, &list.page()).await?;
    let next = match reached {
        Some(reached) => Some(list.seal(&reached)),
        None => list.cut(&mut rows, |row| Position { at: row.received_at, key: row.id }),
    };
    Ok(page::answer(req.uri(), rows.iter().map(Delivery::new).collect(), next)?.into())
}

/// One delivery with its bytes.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "Deliveries",
    responses((status = 200, description = "The delivery.", body = WholeDelivery), (status = 304),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["admin"])))]
pub(crate) async fn show(
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
        Errors<(ApiErrors, NotFound, Conflict, UnreadableDelivery)>),
    security(("key" = ["admin"])))]
pub(crate) async fn retry_one(
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
    // Another request may have retried it meanwhile.
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
    read_nothing(req)?;
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
