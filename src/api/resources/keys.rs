//! `POST /v1/keys`, `GET /v1/keys` and `DELETE /v1/keys/{id}`: keys, made and ended over HTTP.
//!
//! A key that is bound to agents sees and makes only keys that are bound to none but those, and
//! revokes of them itself and those that such keys made. `docs/design/bound-keys.md` has the reasons.

use crate::api::query::read::read;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::page;
use crate::api::query::list;
use crate::api::query::parameters::Paging;
use crate::api::query::path::path_id;
use crate::api::query::read::read_nothing;
use crate::api::resources::new_key::Wanted;
use crate::api::views::key::{Key, MadeKey};
use crate::api::views::new_key::NewKeyBody;
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::ingress::body;
use crate::ingress::body::BodyLimit;
use crate::problem::responses::{
    ApiErrors, Conflict, Errors, InvalidCursor, NotFound, PayloadTooLarge,
};
use crate::problem::{Code, Problem};
use crate::store::key_changes::{Revocation, Revoked};
use crate::store::keys::{KeyHash, NewKey, Scope, generate_key};
use crate::store::{Order, Position};

/// As many agents as a key may be bound to, each with as long an id as there may be, fit in.
const BODY: BodyLimit =
    BodyLimit { max_bytes: 1 << 20, name: "The description of a key", hint: "" };

/// Makes a key.
#[utoipa::path(post, path = "/v1/keys", tag = "Keys", request_body = NewKeyBody,
    responses((status = 201, description = "The key, this once.", body = MadeKey),
        Errors<(ApiErrors, PayloadTooLarge)>),
    security(("key" = ["admin"])))]
pub(crate) async fn create(
    req: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    read_nothing(&req)?;
    let mut room = state.ingress.bodies.room(state.ingress.client(req.head()));
    let body = body::read(payload, req.headers(), BODY, &mut room).await?;
    let now = state.clock.now();
    let wanted = Wanted::parse(&body, now)?;
    wanted.check(&caller)?;
    let (key, id) = (generate_key(), DeliveryId::new(now).0);
    let new = NewKey {
        id,
        name: &wanted.name,
        hash: KeyHash::of(&key),
        scopes: &wanted.scopes,
        agent_ids: wanted.agents.as_deref(),
        created_at: now,
        expires_at: wanted.expires_at,
        made_by: caller.key_id(),
    };
    if !state.store.insert_key(&new).await? {
        return Err(Problem::new(Code::InvalidKey, "This key was revoked."));
    }
    tracing::info!(key = %id, scopes = ?wanted.scopes, bound = wanted.agents.is_some(),
        "key created");
    let about = wanted.shown(id, now, caller.key_id());
    // No cache may store it.
    let mut answer = HttpResponse::Created();
    answer.insert_header(("Cache-Control", "no-store"));
    Ok(answer.json(MadeKey { key, about }))
}

/// Keys, the latest made first, those that are over included.
#[utoipa::path(get, path = "/v1/keys", tag = "Keys", params(Paging),
    responses((status = 200, description = "Keys, without what they are known by.", body = Page<Key>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["admin"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let ((), list) = list::read(&req, Order::Desc, &caller, &state).await?;
    let mut rows = state.store.page_keys(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(page::answer(req.uri(), rows.into_iter().map(Key::from).collect(), next)?.into())
}

/// Parameters of a revocation.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevokeQuery {
    /// `true` leaves the keys that it made valid.
    #[param(example = false)]
    keep_made: Option<bool>,
}

/// Revokes a key for good, and with it the keys that it made, those that they made, and so on.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "Keys",
    params(RevokeQuery),
    responses((status = 204, description = "It is over."),
        Errors<(ApiErrors, NotFound, Conflict)>),
    security(("key" = ["admin"])))]
pub(crate) async fn revoke(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let query: RevokeQuery = read(&req)?;
    let none = || Problem::new(Code::NotFound, "There is no such key.");
    let wanted = Revocation {
        id: Uuid::try_parse(&path_id(&req)?).map_err(|_| none())?,
        visible: caller.agents(),
        caller: caller.key_id(),
        keep_made: query.keep_made.unwrap_or(false),
        at: state.clock.now(),
    };
    match state.store.revoke_key(&wanted).await? {
        Revoked::Yes(keys) => {
            state.key_cache.clear();
            tracing::info!(key = %wanted.id, keys, "key revoked");
            Ok(HttpResponse::NoContent().finish())
        }
        Revoked::NotFound => Err(none()),
        Revoked::NotAllowed => Err(Problem::new(
            Code::Forbidden,
            "A key that sees more than this one made it: only such a key can revoke it.",
        )),
        Revoked::WouldEndCaller => Err(Problem::new(
            Code::Conflict,
            "It made the key that this request comes with, which would be revoked along with it. \
             `?keep_made=true` revokes it alone.",
        )),
    }
}
