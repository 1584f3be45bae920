//! `GET /v1/agents` and `GET /v1/agents/{agent_id}`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::answers::reads::read_alone;
use crate::api::query::list;
use crate::api::query::parameters::Paging;
use crate::api::query::path::path_id;
use crate::api::query::read::read_nothing;
use crate::api::views::agent::Agent;
use crate::api::views::page::Page;
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors, InvalidCursor, NotFound};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::store::{Order, Position};

/// All agents, the latest active first.
#[utoipa::path(get, path = "/v1/agents", tag = "Conversations", params(Paging),
    responses((status = 200, description = "Agents.", body = Page<Agent>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let ((), list) = list::read(&req, Order::Desc, &caller, &state).await?;
    let (visible, uri) = (caller.agents(), req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let mut rows = state.store.list_agents(visible, &list.page()).await?;
            let next = list.cut(&mut rows, |row| Position {
                at: row.last_activity_at,
                key: row.agent_id.clone(),
            });
            page::answer(uri, rows.into_iter().map(Agent::from).collect(), next)
        }
    });
    Ok(answer.await?.into())
}

/// One agent.
#[utoipa::path(get, path = "/v1/agents/{agent_id}", tag = "Conversations",
    responses((status = 200, description = "The agent.", body = Agent), (status = 304),
        Errors<(ApiErrors, NotFound)>),
    security(("key" = ["read"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    read_nothing(&req)?;
    let agent_id = path_id(&req)?;
    if !caller.sees(&agent_id) {
        return Err(no_such_agent());
    }
    let agent_id = &agent_id;
    let answer = read_alone(&state, &req, None, |state| async move {
        let row = state.store.find_agent(agent_id).await?.ok_or_else(no_such_agent)?;
        Answer::of(&Agent::from(row))
    });
    Ok(answer.await?.tagged(&req))
}

pub(crate) fn no_such_agent() -> Problem {
    Problem::new(Code::NotFound, "There is no such agent.")
}
