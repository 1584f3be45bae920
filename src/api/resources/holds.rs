//! `PUT` and `DELETE` of `/v1/sessions/{session_id}/hold` and `/v1/agents/{agent_id}/hold`, and
//! `GET /v1/holds`: held conversations are neither erased nor deleted by retention.

use crate::api::query::read::read;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::answers::page;
use crate::api::query::list;
use crate::api::query::parameters::{Paging, Selector};
use crate::api::query::path::path_id;
use crate::api::query::read::read_nothing;
use crate::api::resources::agents::no_such_agent;
use crate::api::resources::named_session::{only, session_key};
use crate::api::views::hold::Hold;
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::problem::responses::{AmbiguousSession, ApiErrors, Errors, InvalidCursor, NotFound};
use crate::problem::{Code, Problem};
use crate::store::erase::Target;
use crate::store::holds::{Held, Released};
use crate::store::keys::Scope;
use crate::store::sessions::SessionRow;
use crate::store::{Order, Position};

/// Holds, the latest first.
#[utoipa::path(get, path = "/v1/holds", tag = "Keeping",
    params(Paging),
    responses((status = 200, description = "Holds.", body = Page<Hold>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["admin"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let ((), list) = list::read(&req, Order::Desc, &caller, &state).await?;
    let mut rows = state.store.list_holds(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(page::answer(req.uri(), rows.into_iter().map(Hold::from).collect(), next)?.into())
}

/// Holds a session.
#[utoipa::path(put, path = "/v1/sessions/{session_id}/hold", tag = "Keeping",
    params(Selector),
    responses((status = 200, description = "The hold.", body = Hold),
        Errors<(ApiErrors, NotFound, AmbiguousSession)>),
    security(("key" = ["admin"])))]
pub(crate) async fn session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = named_session(&req, &caller, &state).await?;
    hold(&state, &caller, Target::Session(&row)).await
}

/// Holds all that an agent has.
#[utoipa::path(put, path = "/v1/agents/{agent_id}/hold", tag = "Keeping",
    responses((status = 200, description = "The hold.", body = Hold),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["admin"])))]
pub(crate) async fn agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let agent_id = named_agent(&req, &caller)?;
    if state.store.find_agent(&agent_id).await?.is_none() {
        return Err(no_such_agent());
    }
    hold(&state, &caller, Target::Agent(&agent_id)).await
}

/// Ends the hold of a session.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}/hold", tag = "Keeping",
    params(Selector),
    responses((status = 204, description = "It has ended."),
        Errors<(ApiErrors, NotFound, AmbiguousSession)>),
    security(("key" = ["admin"])))]
pub(crate) async fn release_session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = named_session(&req, &caller, &state).await?;
    release(&state, &caller, Target::Session(&row)).await
}

/// Ends the hold of an agent; holds of its sessions stay.
#[utoipa::path(delete, path = "/v1/agents/{agent_id}/hold", tag = "Keeping",
    responses((status = 204, description = "It has ended."),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["admin"])))]
pub(crate) async fn release_agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let agent_id = named_agent(&req, &caller)?;
    release(&state, &caller, Target::Agent(&agent_id)).await
}

async fn named_session(
    req: &HttpRequest,
    caller: &Caller,
    state: &ApiState,
) -> Result<SessionRow, Problem> {
    caller.require(Scope::Admin)?;
    let selector: Selector = read(req)?;
    let session_id = path_id(req)?;
    only(state.store.find_session(session_key(&session_id, &selector, caller)).await?)
}

fn named_agent(req: &HttpRequest, caller: &Caller) -> Result<String, Problem> {
    caller.require(Scope::Admin)?;
    read_nothing(req)?;
    let agent_id = path_id(req)?;
    if caller.sees(&agent_id) { Ok(agent_id) } else { Err(no_such_agent()) }
}

async fn hold(
    state: &ApiState,
    caller: &Caller,
    target: Target<'_>,
) -> Result<HttpResponse, Problem> {
    let at = state.clock.now();
    let id = DeliveryId::new(at).0;
    match state.store.hold(target, id, at, caller.key_id(), caller.agents()).await? {
        Held::Yes(row) => {
            tracing::info!(hold = %row.id, "hold created");
            Ok(HttpResponse::Ok().json(Hold::from(row)))
        }
        Held::TooLate => Err(Problem::new(Code::Conflict, "It is being erased already.")),
    }
}

async fn release(
    state: &ApiState,
    caller: &Caller,
    target: Target<'_>,
) -> Result<HttpResponse, Problem> {
    match state.store.release_hold(target, caller.agents()).await? {
        Released::Yes => {
            tracing::info!(agent = target.session_id().is_none(), "hold ended");
            Ok(HttpResponse::NoContent().finish())
        }
        Released::NotHeld => Err(Problem::new(Code::NotFound, "It is not held.")),
        Released::NotAllowed => Err(Problem::new(
            Code::Forbidden,
            "A key that sees more than this one holds it: only such a key can end the hold.",
        )),
    }
}
