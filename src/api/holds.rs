//! `PUT` and `DELETE` of `/v1/sessions/{session_id}/hold` and `/v1/agents/{agent_id}/hold`, and
//! `GET /v1/holds`: what is held is neither erased nor dropped for its age.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::agents::no_such_agent;
use super::list::{self, LIST_PARAMS, Listing, Page};
use super::openapi::{Paging, Selectors};
use super::params::{Params, path_id};
use super::session::{only, session_key};
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::problem::{Code, Problem};
use crate::store::erase::Target;
use crate::store::holds::{Held, HoldRow, Released};
use crate::store::keys::Scope;
use crate::store::sessions::SessionRow;
use crate::store::{Order, Position};

const HOLDS: Listing =
    Listing { scope: Scope::Admin, params: &LIST_PARAMS, repeatable: &[], order: Order::Desc };

/// A hold.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hold {
    /// Its id.
    id: Uuid,
    /// Whose.
    agent_id: String,
    /// The sender's id of the session; `null` is all that the agent has.
    session_id: Option<String>,
    /// The source that delivered it; `null` likewise.
    source: Option<String>,
    /// Since when.
    created_at: Timestamp,
    /// The id of the key that asked for it; `null` where that is the key of the settings, or one that
    /// the caller does not see. A key that is bound to agents cannot end such a hold.
    made_by: Option<Uuid>,
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        Self {
            id: row.id,
            agent_id: row.agent_id,
            session_id: row.sender_session_id,
            source: row.source,
            created_at: Timestamp(row.created_at),
            made_by: row.made_by,
        }
    }
}

/// What is held, the latest first.
#[utoipa::path(get, path = "/v1/holds", tag = "Keeping",
    params(Paging),
    responses((status = 200, description = "Holds.", body = Page<Hold>)),
    security(("key" = ["admin"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (_, list) = HOLDS.read(&req, &caller, &state).await?;
    let mut rows = state.store.list_holds(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(list::answer(req.uri(), rows.into_iter().map(Hold::from).collect(), next)?.into())
}

/// Holds a session.
#[utoipa::path(put, path = "/v1/sessions/{session_id}/hold", tag = "Keeping",
    params(Selectors),
    responses((status = 200, description = "The hold.", body = Hold)),
    security(("key" = ["admin"])))]
pub(super) async fn session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = named_session(&req, &caller, &state).await?;
    hold(&state, &caller, Target::Session(&row)).await
}

/// Holds all that an agent has.
#[utoipa::path(put, path = "/v1/agents/{agent_id}/hold", tag = "Keeping",
    responses((status = 200, description = "The hold.", body = Hold)),
    security(("key" = ["admin"])))]
pub(super) async fn agent(
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
    params(Selectors),
    responses((status = 204, description = "It has ended.")),
    security(("key" = ["admin"])))]
pub(super) async fn release_session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let row = named_session(&req, &caller, &state).await?;
    release(&state, &caller, Target::Session(&row)).await
}

/// Ends the hold of an agent; holds of its sessions stay.
#[utoipa::path(delete, path = "/v1/agents/{agent_id}/hold", tag = "Keeping",
    responses((status = 204, description = "It has ended.")),
    security(("key" = ["admin"])))]
pub(super) async fn release_agent(
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
    let params = Params::parse(req, &["agent_id", "source"], &[])?;
    let session_id = path_id(req)?;
    only(state.store.find_session(session_key(&session_id, &params, caller)).await?)
}

fn named_agent(req: &HttpRequest, caller: &Caller) -> Result<String, Problem> {
    caller.require(Scope::Admin)?;
    Params::parse(req, &[], &[])?;
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
            tracing::info!(hold = %row.id, "something is held");
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
