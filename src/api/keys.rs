//! `POST /v1/keys`, `GET /v1/keys` and `DELETE /v1/keys/{id}`: keys, made and ended over HTTP.
//!
//! A key that is bound to agents sees and makes only keys that are bound to none but those, and
//! revokes of them itself and those that such keys made. `docs/design/bound-keys.md` has the reasons.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::list::{self, LIST_PARAMS, Listing, Page};
use super::new_key::{Body, Wanted};
use super::openapi::Paging;
use super::params::{Params, path_id};
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::gate::body::{self, BodyLimit};
use crate::problem::{Code, Problem};
use crate::store::key_changes::{Revocation, Revoked};
use crate::store::keys::{KeyHash, KeyRow, NewKey, Scope, generate_key};
use crate::store::{Order, Position};

const KEYS: Listing =
    Listing { scope: Scope::Admin, params: &LIST_PARAMS, repeatable: &[], order: Order::Desc };

/// As many agents as a key may be bound to, each with as long an id as there may be, fit in.
const BODY: BodyLimit =
    BodyLimit { max_bytes: 1 << 20, name: "The description of a key", hint: "" };

/// A key, without what it is known by.
#[derive(Debug, Serialize, ToSchema)]
struct Key {
    /// By which it is revoked.
    id: Uuid,
    /// What its owner calls it.
    name: String,
    /// What it allows.
    scopes: Vec<String>,
    /// The agents that it is bound to; `null` is every agent.
    agents: Option<Vec<String>>,
    /// When it was made.
    created_at: Timestamp,
    /// When it stops to be valid; `null` is never.
    expires_at: Option<Timestamp>,
    /// When it was revoked; `null` where it was not.
    revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    last_used_at: Option<Timestamp>,
    /// The id of the key that made it; `null` where that is the key of the settings, the command
    /// line, a key that the caller does not see, or not known.
    made_by: Option<Uuid>,
}

/// A key that was just made: this once with the key itself.
#[derive(Serialize, ToSchema)]
struct MadeKey {
    /// The key itself: it is told this once.
    key: String,
    #[serde(flatten)]
    about: Key,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scopes: row.scopes,
            agents: row.agent_ids,
            created_at: Timestamp(row.created_at),
            expires_at: row.expires_at.map(Timestamp),
            revoked_at: row.revoked_at.map(Timestamp),
            last_used_at: row.last_used_at.map(Timestamp),
            made_by: row.made_by,
        }
    }
}

/// Makes a key.
#[utoipa::path(post, path = "/v1/keys", tag = "Keys", request_body = Body,
    responses((status = 201, description = "The key, this once.", body = MadeKey),
        (status = 413, description = "payload_too_large")),
    security(("key" = ["admin"])))]
pub(super) async fn create(
    req: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    Params::parse(&req, &[], &[])?;
    let mut room = state.gate.bodies.room(state.gate.client(req.head()));
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
        "a key was made");
    let about = Key {
        id,
        name: wanted.name,
        scopes: wanted.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        agents: wanted.agents,
        created_at: Timestamp(now),
        expires_at: wanted.expires_at.map(Timestamp),
        revoked_at: None,
        last_used_at: None,
        made_by: caller.key_id(),
    };
    // Nobody on the way may keep it.
    let mut answer = HttpResponse::Created();
    answer.insert_header(("Cache-Control", "no-store"));
    Ok(answer.json(MadeKey { key, about }))
}

/// Keys, the latest made first, those that are over included.
#[utoipa::path(get, path = "/v1/keys", tag = "Keys", params(Paging),
    responses((status = 200, description = "Keys, without what they are known by.", body = Page<Key>)),
    security(("key" = ["admin"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (_, list) = KEYS.read(&req, &caller, &state).await?;
    let mut rows = state.store.page_keys(caller.agents(), &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.created_at, key: row.id });
    Ok(list::answer(req.uri(), rows.into_iter().map(Key::from).collect(), next)?.into())
}

/// Revokes a key for good, and with it the keys that it made, those that they made, and so on.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "Keys",
    params(("keep_made" = Option<bool>, Query, example = false,
        description = "`true` leaves the keys that it made valid.")),
    responses((status = 204, description = "It is over."), (status = 409, description = "conflict")),
    security(("key" = ["admin"])))]
pub(super) async fn revoke(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Admin)?;
    let params = Params::parse(&req, &["keep_made"], &[])?;
    let keep_made = params.choice("keep_made", &[("true", true), ("false", false)])?;
    let none = || Problem::new(Code::NotFound, "There is no such key.");
    let wanted = Revocation {
        id: Uuid::try_parse(&path_id(&req)?).map_err(|_| none())?,
        visible: caller.agents(),
        caller: caller.key_id(),
        keep_made: keep_made.unwrap_or(false),
        at: state.clock.now(),
    };
    match state.store.revoke_key(&wanted).await? {
        Revoked::Yes(keys) => {
            state.keyring.forget();
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
