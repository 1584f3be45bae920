//! `GET /v1/views`, `PUT` and `DELETE` of `/v1/views/{name}`: filters that a key saves for itself.
//!
//! A view belongs to its key: no other key reads it, and it is deleted with the key.

use crate::store::saved_views::MAX_VIEWS;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::answers::page;
use crate::api::query::path::path_id;
use crate::api::query::read::read_nothing;
use crate::api::views::page::Page;
use crate::api::views::saved_views::{NewView, View};
use crate::api::views::timestamp::Timestamp;
use crate::api::{ApiState, Caller};
use crate::ingress::body;
use crate::ingress::body::BodyLimit;
use crate::problem::responses::{ApiErrors, Conflict, Errors, NotFound, PayloadTooLarge};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;

/// A view with its longest query, written with escapes, fits in.
const BODY: BodyLimit = BodyLimit { max_bytes: 32 << 10, name: "A view", hint: "" };
/// Scopes that read something, whose filters can be saved.
const SCOPES: [Scope; 2] = [Scope::Read, Scope::Analytics];

/// The views of the caller's key, by name.
#[utoipa::path(get, path = "/v1/views", tag = "Views",
    responses((status = 200, description = "All views of the key; there is no further page.",
        body = Page<View>),
        Errors<ApiErrors>),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    read_nothing(&req)?;
    let rows = state.store.list_views(caller.key_id()).await?;
    let views = rows.into_iter().map(View::try_from).collect::<Result<_, _>>()?;
    Ok(page::answer(req.uri(), views, None)?.into())
}

/// Saves a view under a name; replaces an existing one.
///
/// A key has 100 views at the most; one more is a 409.
#[utoipa::path(put, path = "/v1/views/{name}", tag = "Views", request_body = NewView,
    responses((status = 200, description = "The view.", body = View),
        Errors<(ApiErrors, NotFound, Conflict, PayloadTooLarge)>),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(crate) async fn save(
    req: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    read_nothing(&req)?;
    let name = path_id(&req)?;
    let mut room = state.ingress.bodies.room(state.ingress.client(req.head()));
    let body = body::read(payload, req.headers(), BODY, &mut room).await?;
    let view = NewView::parse(&body)?.named(name, Timestamp(state.clock.now()))?;
    if !state.store.save_view(caller.key_id(), &view).await? {
        let detail = format!("A key has {MAX_VIEWS} views at the most; delete one of them first.");
        return Err(Problem::new(Code::Conflict, detail));
    }
    Ok(HttpResponse::Ok().json(View::try_from(view)?))
}

/// Deletes a view.
#[utoipa::path(delete, path = "/v1/views/{name}", tag = "Views",
    responses((status = 204, description = "It is gone."),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["read"]), ("key" = ["analytics"])))]
pub(crate) async fn delete(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require_any(&SCOPES)?;
    read_nothing(&req)?;
    if !state.store.delete_view(caller.key_id(), &path_id(&req)?).await? {
        return Err(Problem::new(Code::NotFound, "This key has no view of this name."));
    }
    Ok(HttpResponse::NoContent().finish())
}
