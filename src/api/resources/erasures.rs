//! `DELETE /v1/sessions/{session_id}` and `DELETE /v1/agents/{agent_id}` erase, with a receipt.
//! `GET /v1/erasures` and `GET /v1/erasures/{id}` return the receipts.

use crate::api::query::read::read;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::DateTime;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::query::list;
use crate::api::query::parameters::{Paging, Selector};
use crate::api::query::path::path_id;
use crate::api::query::read::read_nothing;
use crate::api::resources::agents::no_such_agent;
use crate::api::resources::named_session::{only, session_key};
use crate::api::views::erasure::Erased;
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::problem::responses::{
    AmbiguousSession, ApiErrors, Conflict, Errors, InvalidCursor, NotFound,
};
use crate::problem::{Code, Problem};
use crate::store::erase::{BeginOutcome, ErasureFilter, NewErasure, Target};
use crate::store::keys::Scope;
use crate::store::sessions::Found;
use crate::store::{Order, Position};

/// Erases one session.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "Keeping", params(Selector),
    responses((status = 200, description = "The receipt.", body = Erased),
        Errors<(ApiErrors, NotFound, AmbiguousSession, Conflict)>),
    security(("key" = ["erase"])))]
pub(crate) async fn session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    let selector: Selector = read(&req)?;
    let session_id = path_id(&req)?;
    let key = session_key(&session_id, &selector, &caller);
    let found = state.store.find_session(key).await?;
    if matches!(found, Found::Nothing)
        && let Some(id) = state.store.unfinished_erasure(key).await?
    {
        // The session is gone, and some of its rows are not: the erasure continues.
        return run_erasure(&state, id).await;
    }
    erase(&state, &caller, Target::Session(&only(found)?)).await
}

/// Erases an agent with all its sessions.
#[utoipa::path(delete, path = "/v1/agents/{agent_id}", tag = "Keeping",
    responses((status = 200, description = "The receipt.", body = Erased),
        Errors<(ApiErrors, NotFound, Conflict)>),
    security(("key" = ["erase"])))]
pub(crate) async fn agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    read_nothing(&req)?;
    let agent_id = path_id(&req)?;
    let now = state.clock.now();
    if !caller.sees(&agent_id)
        || !state.store.has_anything_of(&agent_id, caller.is_bound(), now).await?
    {
        return Err(no_such_agent());
    }
    erase(&state, &caller, Target::Agent(&agent_id)).await
}

/// Filters of receipts.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ErasuresQuery {
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only this session.
    #[param(example = "A80HVD8577_5f3c1a")]
    session_id: Option<String>,
}

/// Receipts of erasures, the latest begun first, including those in progress.
#[utoipa::path(get, path = "/v1/erasures", tag = "Keeping",
    params(Paging, ErasuresQuery),
    responses((status = 200, description = "Receipts.", body = Page<Erased>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["erase"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    let (query, list) = list::read::<ErasuresQuery, _>(&req, Order::Desc, &caller, &state).await?;
    let filter =
        ErasureFilter { agents: caller.visible_of(query.agent_id), session: query.session_id };
    let mut rows = state.store.list_erasures(&filter, &list.page()).await?;
    // The list runs by the ids, which begin with the time.
    let next = list.cut(&mut rows, |row| Position { at: DateTime::UNIX_EPOCH, key: row.id });
    Ok(page::answer(req.uri(), rows.iter().map(Erased::from).collect(), next)?.into())
}

/// The receipt of one erasure.
#[utoipa::path(get, path = "/v1/erasures/{id}", tag = "Keeping",
    responses((status = 200, description = "The receipt.", body = Erased), (status = 304),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["erase"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    read_nothing(&req)?;
    let none = || Problem::new(Code::NotFound, "There is no such erasure.");
    let id = Uuid::try_parse(&path_id(&req)?).map_err(|_| none())?;
    let receipt = state.store.find_erasure(id, caller.agents()).await?.ok_or_else(none)?;
    Ok(Answer::of(&Erased::from(&receipt))?.tagged(&req))
}

async fn erase(
    state: &ApiState,
    caller: &Caller,
    target: Target<'_>,
) -> Result<HttpResponse, Problem> {
    let at = state.clock.now();
    let new = NewErasure {
        id: DeliveryId::new(at).0,
        target,
        at,
        key_id: caller.key_id(),
        bound: caller.is_bound(),
    };
    let id = match state.store.begin_erasure(&new).await? {
        BeginOutcome::Yes => new.id,
        BeginOutcome::Already(id) => id,
        BeginOutcome::Held => {
            return Err(Problem::new(
                Code::Conflict,
                "It is held, or something of it is; `GET /v1/holds` says what. End the hold first.",
            ));
        }
    };
    run_erasure(state, id).await
}

/// Completes an erasure, and answers its receipt.
async fn run_erasure(state: &ApiState, id: Uuid) -> Result<HttpResponse, Problem> {
    // A separate task: it continues after the client has left. An erasure that this process does not
    // finish is finished by a job, or by the next request for it.
    let (store, clock) = (state.store.clone(), state.clock.clone());
    let carried_out = tokio::spawn(async move { store.run_erasure(id, &clock).await });
    let receipt = carried_out.await.map_err(Problem::internal)??;
    let receipt = receipt.ok_or_else(|| {
        Problem::new(
            Code::Conflict,
            "It is being erased already, and that goes on by itself; `GET /v1/erasures` has the \
             receipt.",
        )
    })?;
    tracing::info!(erasure = %id, kind = ?receipt.kind, rows = ?receipt.rows.0, "erased");
    Ok(HttpResponse::Ok().json(Erased::from(&receipt)))
}
