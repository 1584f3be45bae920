//! `GET /v1/views`, `PUT` and `DELETE` of `/v1/views/{name}`: filters that a key saves for itself.
//!
//! A view is data of its key: no other key reads it, and it goes with its key.

use actix_web::{HttpRequest, HttpResponse, web};

use super::list::{self, Page};
use super::params::{Params, path_id};
use super::timestamp::Timestamp;
use super::views::saved_views::{NewView, View};
use super::{ApiState, Caller};
use crate::gate::body::{self, BodyLimit};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::store::saved_views::MOST_VIEWS;

/// A view with its longest query, written with escapes, fits in.
const BODY: BodyLimit = BodyLimit { max_bytes: 32 << 10, name: "A view", hint: "" };
/// Keys that can look at something can save how they look at it.
const SCOPES: [Scope; 2] = [Scope::Read, Scope::Analytics];

/// The views of the caller's key, by name.
#[utoipa::path(get, path = "/v1/views", tag = "Views",
    responses((status = 200, description = "All views of the key; there is no further page.",
        body = Page<View>)),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    Params::parse(&req, &[], &[])?;
    let rows = state.store.list_views(caller.key_id()).await?;
    let views = rows.into_iter().map(View::try_from).collect::<Result<_, _>>()?;
    Ok(list::answer(req.uri(), views, None)?.into())
}

/// Saves a view under a name, in place of one that has it.
///
/// A key has 100 views at the most; one more is a 409.
#[utoipa::path(put, path = "/v1/views/{name}", tag = "Views", request_body = NewView,
    responses((status = 200, description = "The view.", body = View),
        (status = 409, description = "conflict"),
        (status = 413, description = "payload_too_large")),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(super) async fn save(
    req: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    Params::parse(&req, &[], &[])?;
    let name = path_id(&req)?;
    let mut room = state.gate.bodies.room(state.gate.client(req.head()));
    let body = body::read(payload, req.headers(), BODY, &mut room).await?;
    let view = NewView::parse(&body)?.named(name, Timestamp(state.clock.now()))?;
    if !state.store.save_view(caller.key_id(), &view).await? {
        let detail = format!("A key has {MOST_VIEWS} views at the most; delete one of them first.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(HttpResponse::Ok().json(View::try_from(view)?))
}

/// Deletes a view.
#[utoipa::path(delete, path = "/v1/views/{name}", tag = "Views",
    responses((status = 204, description = "It is gone.")),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(super) async fn delete(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    Params::parse(&req, &[], &[])?;
    if !state.store.delete_view(caller.key_id(), &path_id(&req)?).await? {
        return Err(Problem::new(Code::NotFound, "This key has no view of this name."));
    }
    Ok(HttpResponse::NoContent().finish())
}
