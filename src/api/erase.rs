//! `DELETE /v1/sessions/{session_id}` and `DELETE /v1/agents/{agent_id}`: erased for good, with a
//! receipt; and `GET /v1/erasures` and `GET /v1/erasures/{id}`, the receipts again.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::DateTime;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::agents::no_such_agent;
use super::answer::Answer;
use super::list::{self, Listing, Page};
use super::openapi::{Paging, Selectors};
use super::params::{Params, path_id};
use super::session::{only, session_key};
use super::sessions::visible;
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::domain::DeliveryId;
use crate::problem::{Code, Problem};
use crate::store::erase::{Begun, ErasureFilter, NewErasure, Receipt, Tally, Target};
use crate::store::journal::ErasureKind;
use crate::store::keys::Scope;
use crate::store::sessions::Found;
use crate::store::{Order, Position};

const ERASURES: Listing = Listing {
    scope: Scope::Erase,
    params: &["limit", "cursor", "order", "agent_id", "session_id"],
    repeatable: &["agent_id"],
    order: Order::Desc,
};

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Receipt)]
pub(super) struct Erased<'a> {
    /// Of the receipt.
    id: Uuid,
    /// `session` or `agent`.
    #[schema(value_type = String)]
    kind: ErasureKind,
    /// Whose.
    agent_id: &'a str,
    /// The sender's id of the session; `null` where all of an agent's was erased.
    session_id: Option<&'a str>,
    /// The source that had delivered it; `null` likewise.
    source: Option<&'a str>,
    /// What arrived or happened up to here is not stored again.
    erased_at: Timestamp,
    /// When everything was gone; `null` while it is still being erased, which goes on by itself.
    finished_at: Option<Timestamp>,
    /// Rows that are gone, by table.
    #[schema(value_type = Object)]
    rows: &'a Tally,
}

impl<'a> From<&'a Receipt> for Erased<'a> {
    fn from(receipt: &'a Receipt) -> Self {
        let session = receipt.session.as_ref();
        Self {
            id: receipt.id,
            kind: receipt.kind,
            agent_id: &receipt.agent_id,
            session_id: session.map(|session| session.session_id.as_str()),
            source: session.map(|session| session.source.as_str()),
            erased_at: Timestamp(receipt.erased_at),
            finished_at: receipt.finished_at.map(Timestamp),
            rows: &receipt.rows,
        }
    }
}

/// Erases one session.
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "Keeping", params(Selectors),
    responses((status = 200, description = "The receipt.", body = Erased),
        (status = 409, description = "conflict")),
    security(("key" = ["erase"])))]
pub(super) async fn session(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    let params = Params::parse(&req, &["agent_id", "source"], &[])?;
    let session_id = path_id(&req)?;
    let key = session_key(&session_id, &params, &caller);
    let found = state.store.find_session(key).await?;
    if matches!(found, Found::Nothing)
        && let Some(id) = state.store.unfinished_erasure(key).await?
    {
        // Its session is gone, and what is left of it is not: whoever asks again is no stranger.
        return carry_out(&state, id).await;
    }
    erase(&state, &caller, Target::Session(&only(found)?)).await
}

/// Erases an agent with all its sessions.
#[utoipa::path(delete, path = "/v1/agents/{agent_id}", tag = "Keeping",
    responses((status = 200, description = "The receipt.", body = Erased),
        (status = 409, description = "conflict")),
    security(("key" = ["erase"])))]
pub(super) async fn agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    Params::parse(&req, &[], &[])?;
    let agent_id = path_id(&req)?;
    let now = state.clock.now();
    if !caller.sees(&agent_id)
        || !state.store.has_anything_of(&agent_id, caller.is_bound(), now).await?
    {
        return Err(no_such_agent());
    }
    erase(&state, &caller, Target::Agent(&agent_id)).await
}

/// Receipts of erasures, the latest begun first, those that go on included.
#[utoipa::path(get, path = "/v1/erasures", tag = "Keeping",
    params(Paging,
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("session_id" = Option<String>, Query, description = "Of this session alone.")),
    responses((status = 200, description = "Receipts.", body = Page<Erased>)),
    security(("key" = ["erase"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = ERASURES.read(&req, &caller, &state).await?;
    let filter = ErasureFilter {
        agents: visible(&caller, params.texts("agent_id")),
        session: params.text("session_id").map(str::to_owned),
    };
    let mut rows = state.store.list_erasures(&filter, &list.page()).await?;
    // The list runs by the ids, which begin with the time.
    let next = list.cut(&mut rows, |row| Position { at: DateTime::UNIX_EPOCH, key: row.id });
    Ok(list::answer(req.uri(), rows.iter().map(Erased::from).collect(), next)?.into())
}

/// The receipt of one erasure.
#[utoipa::path(get, path = "/v1/erasures/{id}", tag = "Keeping",
    responses((status = 200, description = "The receipt.", body = Erased), (status = 304)),
    security(("key" = ["erase"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Erase)?;
    Params::parse(&req, &[], &[])?;
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
        Begun::Yes => new.id,
        Begun::Already(id) => id,
        Begun::Held => {
            return Err(Problem::new(
                Code::Conflict,
                "It is held, or something of it is; `GET /v1/holds` says what. End the hold first.",
            ));
        }
    };
    carry_out(state, id).await
}

/// Carries an erasure to its end, and answers its receipt.
async fn carry_out(state: &ApiState, id: Uuid) -> Result<HttpResponse, Problem> {
    // A task of its own: a client that goes away takes nothing along. One that this process does
    // not finish is finished by the job that looks for such, or by whoever asks for it again.
    let (store, clock) = (state.store.clone(), state.clock.clone());
    let carried_out = tokio::spawn(async move { store.carry_out(id, &clock).await });
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
