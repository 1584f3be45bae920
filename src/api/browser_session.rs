//! `POST`, `GET` and `DELETE /v1/browser-session`: sign-in with a key or a one-time link for a cookie,
//! and sign-out. `docs/design/browser-sessions.md` has the reasons.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderValue, SET_COOKIE};
use actix_web::{FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::{missing_credentials, refused as counted};
use super::identity::Credential;
use super::json_body::read_object;
use super::keyring::{Grant, PresentedKey, refused};
use super::params::Params;
use super::views::browser_session::BrowserSession;
use super::{ApiState, Caller, cookie};
use crate::gate::body::{self, BodyLimit};
use crate::gate::{PageOrigin, Trusted};
use crate::problem::{Code, Problem};
use crate::store::browser_sessions::{
    BrowserSessionRow, LONGEST_SESSION, NewBrowserSession, SessionKey, SessionToken,
};
use crate::store::keys::{KeyHash, Scope};
use crate::store::sign_in_links::{Redeemed, looks_like_link_token};

/// Largest body: the longest key of the settings with room to spare.
const BODY: BodyLimit = BodyLimit { max_bytes: 16 << 10, name: "A sign-in", hint: "" };

/// Key or token to sign in with: one of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn, example = json!({ "key": "vb_4f6uXq0mJ7yR2cV9tB1nK8sD3hL5wE6a" }))]
pub(super) struct Body {
    /// API key.
    key: Option<String>,
    /// Token of a one-time link, as `verbatim open` prints it after `#token=`.
    token: Option<String>,
}

/// Means of a sign-in.
enum SignIn {
    Key(String),
    Link(String),
}

/// Signs a browser in: sets its cookie. A session that the browser had ends.
#[utoipa::path(post, path = "/v1/browser-session", tag = "Browser sessions", request_body = Body,
    responses((status = 200, description = "Rights of the key, and the end of the session. The cookie is \
            `__Host-verbatim_session` under HTTPS and `verbatim_session` without.",
            body = BrowserSession,
            headers(("Set-Cookie" = String, description = "Cookie of the session."))),
        (status = 400, description = "invalid_parameter"),
        (status = 401, description = "invalid_key"), (status = 403, description = "forbidden"),
        (status = 408, description = "request_timeout"),
        (status = 413, description = "payload_too_large"), (status = 429, description = "rate_limited"),
        (status = 500, description = "internal"), (status = 503, description = "unavailable")))]
pub(super) async fn create(
    req: HttpRequest,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    if state.gate.page_origin(req.head()) == PageOrigin::Other {
        let detail = "A page of another origin made this request; only the page of this service \
                      signs a browser in.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    Params::parse(&req, &[], &[])?;
    let client = state.gate.client(req.head());
    let mut room = state.gate.bodies.room(client);
    let body = body::read(payload, req.headers(), BODY, &mut room).await?;
    let wanted = SignIn::parse(&body)?;
    let (grant, key) = match wanted.find(&state, client).await {
        Ok(found) => found,
        Err(problem) => return Err(counted(&state.gate, client, problem)),
    };
    req.extensions_mut().insert(Trusted);
    // Always a new token: one that somebody else may know is never adopted.
    let token = SessionToken::generate();
    let now = state.clock.now();
    let key = if state.keyring.is_bootstrap(key) {
        SessionKey::Settings(token.mac(key))
    } else {
        SessionKey::Stored(key)
    };
    let latest = now + LONGEST_SESSION;
    let expires_at = grant.expires_at().map_or(latest, |at| at.min(latest));
    let is_https = state.gate.is_https(req.head());
    let replaces = cookie::token(req.headers(), is_https).map(|token| token.hash());
    let new = NewBrowserSession { hash: token.hash(), key, at: now, expires_at, replaces };
    state.store.insert_browser_session(&new).await?;
    if let Some(old) = replaces {
        state.keyring.forget_session(old);
    }
    tracing::info!(key = grant.id().map(tracing::field::display), %client, "browser signed in");
    let row = BrowserSessionRow { key, last_used_at: now, expires_at };
    let seconds = (expires_at - now).num_seconds();
    let cookie = cookie::set(&token, is_https, seconds).map_err(Problem::internal)?;
    let reads = grant.allows(Scope::Read);
    let mark = cookie::mark(reads, is_https, seconds).map_err(Problem::internal)?;
    let mut answer = HttpResponse::Ok();
    answer.append_header((SET_COOKIE, cookie)).append_header((SET_COOKIE, mark));
    Ok(answer.json(BrowserSession::new(&grant, Some(&row))))
}

/// Rights of the caller, and the end of its browser session.
#[utoipa::path(get, path = "/v1/browser-session", tag = "Browser sessions",
    responses((status = 200, description = "Rights of the cookie's key, or of the key in the header.",
        body = BrowserSession)),
    security(("key" = [])))]
pub(super) async fn show(
    req: HttpRequest,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    if Credential::of(&req, &state.gate).is_none() {
        // The page asks at its start: no failed attempt, so it is not counted.
        return Err(missing_credentials());
    }
    let caller = Caller::extract(&req).await?;
    Params::parse(&req, &[], &[])?;
    let session = caller.session().map(|session| &session.row);
    Ok(HttpResponse::Ok().json(BrowserSession::new(caller.grant(), session)))
}

/// Signs a browser out: ends its session and removes the cookie.
#[utoipa::path(delete, path = "/v1/browser-session", tag = "Browser sessions",
    responses((status = 204, description = "The session has ended.",
            headers(("Set-Cookie" = String, description = "Removes the cookie."))),
        (status = 404, description = "not_found")),
    security(("key" = [])))]
pub(super) async fn delete(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    Params::parse(&req, &[], &[])?;
    let Some(session) = caller.session() else {
        let detail = "This request comes with a key in a header; no browser session is to end.";
        return Err(Problem::new(Code::NotFound, detail));
    };
    state.store.delete_browser_session(session.hash).await?;
    state.keyring.forget_session(session.hash);
    tracing::info!(key = caller.key_id().map(tracing::field::display), "browser signed out");
    let is_https = state.gate.is_https(req.head());
    let mut answer = HttpResponse::NoContent();
    let cookie = cookie::clear(is_https).map_err(Problem::internal)?;
    let mark = cookie::mark(false, is_https, 0).map_err(Problem::internal)?;
    answer.append_header((SET_COOKIE, cookie)).append_header((SET_COOKIE, mark));
    if is_https {
        // Removes kept answers: the next person to sign in may have fewer rights. Browsers report an
        // error over plain HTTP.
        answer.insert_header(("Clear-Site-Data", HeaderValue::from_static("\"cache\"")));
    }
    Ok(answer.finish())
}

impl SignIn {
    fn parse(body: &[u8]) -> Result<Self, Problem> {
        // Without the parser's error, which may quote a part of a key.
        let body: Option<Body> = read_object(body).ok();
        match body {
            Some(Body { key: Some(key), token: None }) => Ok(Self::Key(key)),
            Some(Body { key: None, token: Some(token) }) => Ok(Self::Link(token)),
            _ => Err(Problem::new(
                Code::InvalidParameter,
                "The body is JSON with one of two members: `{\"key\":\"vb_…\"}`, or \
                 `{\"token\":\"vbl_…\"}` of a one-time link.",
            )),
        }
    }

    /// Returns what the key allows, and the key's hash.
    async fn find(
        &self,
        state: &ApiState,
        client: IpAddr,
    ) -> Result<(Arc<Grant>, KeyHash), Problem> {
        let wary = state.gate.failures.is_wary_of(client);
        match self {
            Self::Key(key) => {
                let key = PresentedKey::of(key.trim());
                let grant = match state.keyring.recall_key(key) {
                    Some(known) => known?,
                    None => state.keyring.look_up_key(key, wary).await?,
                };
                Ok((grant, key.hash))
            }
            Self::Link(token) => {
                let hash = KeyHash::of(token.trim());
                let unknown = "There is no such one-time link. `verbatim open` prints one.";
                if !looks_like_link_token(token.trim())
                    || wary && !state.keyring.hashes.hold(hash).await?
                {
                    return Err(refused(unknown));
                }
                let key = match state.store.redeem_sign_in_link(hash, state.clock.now()).await? {
                    Redeemed::ByKey(key) => key,
                    Redeemed::Used => {
                        return Err(refused(
                            "This one-time link was used already. `verbatim open` prints another.",
                        ));
                    }
                    Redeemed::Expired => {
                        return Err(refused(
                            "This one-time link has expired: it is valid for 5 minutes. `verbatim \
                             open` prints another.",
                        ));
                    }
                    Redeemed::Unknown => return Err(refused(unknown)),
                };
                Ok((state.keyring.look_up_stored(key).await?, key))
            }
        }
    }
}
