//! Caller of a request: its key or browser session, and the rights of it.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use uuid::Uuid;

use crate::api::ApiState;
use crate::api::auth::credential::Credential;
use crate::api::auth::grant::Grant;
use crate::api::auth::identity::Identity;
use crate::api::auth::refusal::{count_failure, missing_credentials};
use crate::api::auth::session_cache::Session;
use crate::ingress::{Ingress, PageOrigin};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;

/// Caller with a valid key.
#[derive(Clone, Debug)]
pub struct Caller {
    identity: Identity,
    credential: Credential,
}

impl Caller {
    /// Rejects a caller whose key lacks the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        self.require_any(&[scope])
    }

    /// Rejects a caller whose key has none of the scopes.
    pub fn require_any(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if scopes.iter().any(|scope| self.grant().allows(*scope)) {
            return Ok(());
        }
        let names: Vec<_> = scopes.iter().map(|scope| format!("`{}`", scope.as_str())).collect();
        let detail = format!("This key lacks the scope {}.", names.join(" or "));
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// Returns the agents that the key is bound to; rows of others are not found. `None` is every agent.
    #[must_use]
    pub fn agents(&self) -> Option<&[String]> {
        self.grant().agents()
    }

    /// Returns true for a key that is bound to agents.
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.agents().is_some()
    }

    /// Returns the key's ID; `None` is the key of the settings.
    #[must_use]
    pub fn key_id(&self) -> Option<Uuid> {
        self.grant().id()
    }

    /// Returns the end of the key's validity.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.grant().expires_at()
    }

    /// Returns the rights of the key.
    pub(crate) fn grant(&self) -> &Grant {
        &self.identity.grant
    }

    /// Returns the browser session, if the request has its cookie.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.identity.session.as_deref()
    }

    /// Returns the credential of the request.
    pub(crate) fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Stores the caller in the request's extensions.
    fn stored_in(self, req: &HttpRequest) -> Self {
        req.extensions_mut().insert(self.clone());
        self
    }

    /// Returns those of the agents that the caller may see; without any, all that it may see. `None` is
    /// every agent.
    pub(crate) fn visible_of(&self, wanted: Vec<String>) -> Option<Vec<String>> {
        if wanted.is_empty() {
            return self.agents().map(<[_]>::to_vec);
        }
        Some(wanted.into_iter().filter(|id| self.sees(id)).collect())
    }

    /// Returns true if the caller may see an agent.
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
        let client = state.ingress.client(req.head());
        let Some(credential) = Credential::of(req, &state.ingress) else {
            return Either::Left(ready(Err(count_failure(
                &state.ingress,
                client,
                missing_credentials(),
            ))));
        };
        if let Err(problem) = check_origin(req, &credential, &state.ingress) {
            return Either::Left(ready(Err(problem)));
        }
        let known = state.key_cache.recall(&credential);
        if let Some(known) = known {
            let caller = known.map(|identity| Self { identity, credential }.stored_in(req));
            return Either::Left(ready(
                caller.map_err(|it| count_failure(&state.ingress, client, it)),
            ));
        }
        let (key_cache, ingress) = (state.key_cache.clone(), state.ingress.clone());
        let req = req.clone();
        let found = async move {
            let found =
                key_cache.look_up(&credential, ingress.auth_throttle.is_throttled(client)).await;
            let caller = found.map(|identity| Self { identity, credential }.stored_in(&req));
            caller.map_err(|problem| count_failure(&ingress, client, problem))
        };
        Either::Right(found.boxed_local())
    }
}

/// Rejects a change with a cookie unless a page of this origin made the request: a browser adds the
/// cookie to requests of any page.
fn check_origin(
    req: &HttpRequest,
    credential: &Credential,
    ingress: &Ingress,
) -> Result<(), Problem> {
    let by_key = matches!(credential, Credential::Key(_));
    if by_key || req.method().is_safe() || ingress.page_origin(req.head()) == PageOrigin::Same {
        return Ok(());
    }
    let detail = "A request that changes something and comes with a cookie must have \
                  `Sec-Fetch-Site: same-origin` or the `Origin` of this service. Send an API key \
                  instead, or make it from the page.";
    Err(Problem::new(Code::Forbidden, detail))
}
