//! `POST`, `GET` and `DELETE /v1/browser-session`: sign-in with a key or a one-time link for a cookie,
//! and sign-out. `docs/design/browser-sessions.md` has the reasons.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderValue, SET_COOKIE};
use actix_web::{FromRequest as _, HttpMessage as _, HttpRequest, HttpResponse, web};

use crate::api::auth::cookie;
use crate::api::auth::credential::Credential;
use crate::api::auth::credential::PresentedKey;
use crate::api::auth::grant::Grant;
use crate::api::auth::refusal::{count_failure, invalid_credential, missing_credentials};
use crate::api::query::json_body::read_object;
use crate::api::query::read::read_nothing;
use crate::api::views::browser_session::BrowserSession;
use crate::api::views::sign_in::SignInBody;
use crate::api::{ApiState, Caller};
use crate::ingress::body::BodyLimit;
use crate::ingress::{Authenticated, PageOrigin, body};
use crate::problem::responses::{
    ApiErrors, Errors, Forbidden, Internal, InvalidKey, InvalidParameter, NotFound,
    PayloadTooLarge, RateLimited, RequestTimeout, Unavailable,
};
use crate::problem::{Code, Problem};
use crate::store::browser_sessions::{
    BrowserSessionRow, MAX_SESSION, NewBrowserSession, SessionKey, SessionToken,
};
use crate::store::keys::{KeyHash, Scope};
use crate::store::sign_in_links::{Redeemed, has_link_token_form};

/// Largest body: the longest key of the settings with room to spare.
const BODY: BodyLimit = BodyLimit { max_bytes: 16 << 10, name: "A sign-in", hint: "" };

/// Means of a sign-in.
enum SignIn {
    Key(String),
    Link(String),
}

/// Signs a browser in: sets its cookie. A session that the browser had ends.
#[utoipa::path(post, path = "/v1/browser-session", tag = "Browser sessions", request_body = SignInBody,
    responses((status = 200, description = "Rights of the key, and the end of the session. The cookie is \
            `__Host-verbatim_session` under HTTPS and `verbatim_session` without.",
            body = BrowserSession,
            headers(("Set-Cookie" = String, description = "Cookie of the session."))),
        Errors<(InvalidKey, Forbidden, InvalidParameter, PayloadTooLarge, RequestTimeout, RateLimited, Unavailable, Internal)>))]
pub(crate) async fn create(
    req: HttpRequest,
    payload: web::Payload,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    if state.ingress.page_origin(req.head()) == PageOrigin::Other {
        let detail = "A page of another origin made this request; only the page of this service \
                      signs a browser in.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    read_nothing(&req)?;
    let client = state.ingress.client(req.head());
    let mut room = state.ingress.bodies.room(client);
    let body = body::read(payload, req.headers(), BODY, &mut room).await?;
    let wanted = SignIn::parse(&body)?;
    let (grant, key) = match wanted.find(&state, client).await {
        Ok(found) => found,
        Err(problem) => return Err(count_failure(&state.ingress, client, problem)),
    };
    req.extensions_mut().insert(Authenticated);
    // Always a new token: one that another person may know is never reused.
    let token = SessionToken::generate();
    let is_https = state.ingress.is_https(req.head());
    let replaces = cookie::token(req.headers(), is_https).map(|token| token.hash());
    let session = new_session(&state, &token, &grant, key, replaces);
    state.store.insert_browser_session(&session).await?;
    if let Some(old) = replaces {
        state.key_cache.forget_session(old);
    }
    tracing::info!(key = grant.id().map(tracing::field::display), %client, "browser signed in");
    let seconds = (session.expires_at - session.at).num_seconds();
    let cookie = cookie::set(&token, is_https, seconds).map_err(Problem::internal)?;
    let reads = grant.allows(Scope::Read);
    let mark = cookie::mark(reads, is_https, seconds).map_err(Problem::internal)?;
    let NewBrowserSession { key, at: last_used_at, expires_at, .. } = session;
    let row = BrowserSessionRow { key, last_used_at, expires_at };
    let mut answer = HttpResponse::Ok();
    answer.append_header((SET_COOKIE, cookie)).append_header((SET_COOKIE, mark));
    Ok(answer.json(BrowserSession::new(&grant, Some(&row))))
}

/// Returns a session of a key, which ends with the key or after the longest time.
fn new_session(
    state: &ApiState,
    token: &SessionToken,
    grant: &Grant,
    key: KeyHash,
    replaces: Option<KeyHash>,
) -> NewBrowserSession {
    let at = state.clock.now();
    let key = if state.key_cache.is_bootstrap(key) {
        SessionKey::Settings(token.mac(key))
    } else {
        SessionKey::Stored(key)
    };
    let latest = at + MAX_SESSION;
    let expires_at = grant.expires_at().map_or(latest, |at| at.min(latest));
    NewBrowserSession { hash: token.hash(), key, at, expires_at, replaces }
}

/// Rights of the caller, and the end of its browser session.
#[utoipa::path(get, path = "/v1/browser-session", tag = "Browser sessions",
    responses((status = 200, description = "Rights of the cookie's key, or of the key in the header.",
        body = BrowserSession),
        Errors<ApiErrors>),
    security(("key" = [])))]
pub(crate) async fn show(
    req: HttpRequest,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    if Credential::of(&req, &state.ingress).is_none() {
        // The page asks at its start: no failed attempt, so it is not counted.
        return Err(missing_credentials());
    }
    let caller = Caller::extract(&req).await?;
    read_nothing(&req)?;
    let session = caller.session().map(|session| &session.row);
    Ok(HttpResponse::Ok().json(BrowserSession::new(caller.grant(), session)))
}

/// Signs a browser out: ends its session and removes the cookie.
#[utoipa::path(delete, path = "/v1/browser-session", tag = "Browser sessions",
    responses((status = 204, description = "The session has ended.",
            headers(("Set-Cookie" = String, description = "Removes the cookie."))),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = [])))]
pub(crate) async fn delete(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    read_nothing(&req)?;
    let Some(session) = caller.session() else {
        let detail = "This request comes with a key in a header; no browser session is to end.";
        return Err(Problem::new(Code::NotFound, detail));
    };
    state.store.delete_browser_session(session.hash).await?;
    state.key_cache.forget_session(session.hash);
    tracing::info!(key = caller.key_id().map(tracing::field::display), "browser signed out");
    let is_https = state.ingress.is_https(req.head());
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
        let body: Option<SignInBody> = read_object(body).ok();
        match body {
            Some(SignInBody { key: Some(key), token: None }) => Ok(Self::Key(key)),
            Some(SignInBody { key: None, token: Some(token) }) => Ok(Self::Link(token)),
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
        let wary = state.ingress.auth_throttle.is_throttled(client);
        match self {
            Self::Key(key) => {
                let key = PresentedKey::of(key.trim());
                let grant = match state.key_cache.recall_key(key) {
                    Some(known) => known?,
                    None => state.key_cache.look_up_key(key, wary).await?,
                };
                Ok((grant, key.hash))
            }
            Self::Link(token) => {
                let hash = KeyHash::of(token.trim());
                let unknown = "There is no such one-time link. `verbatim open` prints one.";
                if !has_link_token_form(token.trim())
                    || wary && !state.key_cache.hashes.hold(hash).await?
                {
                    return Err(invalid_credential(unknown));
                }
                let key = match state.store.redeem_sign_in_link(hash, state.clock.now()).await? {
                    Redeemed::ByKey(key) => key,
                    Redeemed::Used => {
                        return Err(invalid_credential(
                            "This one-time link was used already. `verbatim open` prints another.",
                        ));
                    }
                    Redeemed::Expired => {
                        return Err(invalid_credential(
                            "This one-time link has expired: it is valid for 5 minutes. `verbatim \
                             open` prints another.",
                        ));
                    }
                    Redeemed::Unknown => return Err(invalid_credential(unknown)),
                };
                Ok((state.key_cache.look_up_stored(key).await?, key))
            }
        }
    }
}
