//! Who asks: the key or browser session that a request carries, and what it allows.

use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use uuid::Uuid;

use super::ApiState;
use super::identity::{Credential, Identity, Session};
use super::keyring::Grant;
use crate::gate::{Gate, PageOrigin};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;

/// Somebody whose key is valid.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    credential: Credential,
}

impl Caller {
    /// Refuses a caller whose key lacks the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        self.require_any(&[scope])
    }

    /// Refuses a caller whose key has none of the scopes.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if scopes.iter().any(|scope| self.grant().allows(*scope)) {
            return Ok(());
        }
        let names: Vec<_> = scopes.iter().map(|scope| format!("`{}`", scope.as_str())).collect();
        let detail = format!("This key lacks the scope {}.", names.join(" or "));
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// The agents that the key is bound to: all else looks as if it were not there. `None` is
    /// every agent.
    #[must_use]
    pub fn agents(&self) -> Option<&[String]> {
        self.grant().agents()
    }

    /// Whether the key is bound to agents.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.agents().is_some()
    }

    /// The key's id; `None` is the one of the settings.
    #[must_use]
    pub fn key_id(&self) -> Option<Uuid> {
        self.grant().id()
    }

    /// When the key stops to be valid.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.grant().expires_at()
    }

    /// What the key allows.
    pub(super) fn grant(&self) -> &Grant {
        &self.identity.grant
    }

    /// The browser session, where the request came with its cookie.
    pub(super) fn session(&self) -> Option<&Session> {
        self.identity.session.as_deref()
    }

    /// What the request carries to be let in.
    pub(super) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Notes with the request whose it is.
    fn noted(self, req: &HttpRequest) -> Self {
        req.extensions_mut().insert(self.clone());
        self
    }

    /// Whether the key shows this agent.
    #[must_use]
    pub fn sees(&self, agent_id: &str) -> bool {
        self.agents().is_none_or(|agents| agents.iter().any(|agent| agent == agent_id))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future =
        Either<Ready<Result<Self, Problem>>, LocalBoxFuture<'static, Result<Self, Problem>>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(state) = req.app_data::<web::Data<ApiState>>() else {
            let cause = anyhow::anyhow!("the API runs without its state");
            return Either::Left(ready(Err(Problem::internal(cause))));
        };
        let client = state.gate.client(req.head());
        let Some(credential) = Credential::of(req, &state.gate) else {
            return Either::Left(ready(Err(refused(&state.gate, client, missing_credentials()))));
        };
        if let Err(problem) = check_origin(req, &credential, &state.gate) {
            return Either::Left(ready(Err(problem)));
        }
        let known = state.keyring.recall(&credential);
        if let Some(known) = known {
            let caller = known.map(|identity| Self { identity, credential }.noted(req));
            return Either::Left(ready(caller.map_err(|it| refused(&state.gate, client, it))));
        }
        let (keyring, gate) = (state.keyring.clone(), state.gate.clone());
        let req = req.clone();
        let found = async move {
            let found = keyring.look_up(&credential, gate.failures.is_wary_of(client)).await;
            let caller = found.map(|identity| Self { identity, credential }.noted(&req));
            caller.map_err(|problem| refused(&gate, client, problem))
        };
        Either::Right(found.boxed_local())
    }
}

/// A request without a credential.
pub(super) fn missing_credentials() -> Problem {
    Problem::new(
        Code::MissingCredentials,
        "Send an API key, as `Authorization: Bearer <key>` or as `X-API-Key: <key>`.",
    )
}

/// Refuses a change that comes with a cookie unless a page of this origin made the request: a
/// browser adds the cookie whoever asks it to.
fn check_origin(req: &HttpRequest, credential: &Credential, gate: &Gate) -> Result<(), Problem> {
    let by_key = matches!(credential, Credential::Key(_));
    if by_key || req.method().is_safe() || gate.page_origin(req.head()) == PageOrigin::Same {
        return Ok(());
    }
    let detail = "A request that changes something and comes with a cookie must have \
                  `Sec-Fetch-Site: same-origin` or the `Origin` of this service. Send an API key \
                  instead, or make it from the page.";
    Err(Problem::new(Code::Forbidden, detail))
}

/// Counts a failure that is the caller's; that a key could not be looked up is not.
pub(super) fn refused(gate: &Gate, client: IpAddr, problem: Problem) -> Problem {
    if problem.code() == Code::Unavailable || problem.code() == Code::Internal {
        return problem;
    }
    gate.refusal(client, || problem)
}

/// The key that the headers carry. Another scheme than `Bearer` may be meant for a proxy, so it
/// does not hide an `X-API-Key`.
pub(super) fn key_of(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| text(value).split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key);
    bearer
        .or_else(|| headers.get("x-api-key").map(text))
        .map(str::trim)
        .filter(|key| !key.is_empty())
}

/// What is not text is a key that cannot be right, rather than no key.
fn text(value: &HeaderValue) -> &str {
    str::from_utf8(value.as_bytes()).unwrap_or("?")
}
