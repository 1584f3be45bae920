//! `GET /v1/agents` and `GET /v1/agents/{agent_id}`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Answer;
use super::list::{self, LIST_PARAMS, Listing, Page};
use super::openapi::Paging;
use super::params::{Params, path_id};
use super::reads::read_alone;
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::problem::{Code, Problem};
use crate::store::agents::AgentRow;
use crate::store::keys::Scope;
use crate::store::{Order, Position};

/// An agent and its figures.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Agent {
    /// The sender's code for it.
    agent_id: String,
    /// Its sessions.
    session_count: i64,
    /// Messages in them, by anybody.
    message_count: i64,
    /// Its earliest event.
    first_seen_at: Timestamp,
    /// Its latest event.
    last_activity_at: Timestamp,
}

impl From<AgentRow> for Agent {
    fn from(row: AgentRow) -> Self {
        Self {
            agent_id: row.agent_id,
            session_count: row.session_count,
            message_count: row.message_count,
            first_seen_at: Timestamp(row.first_seen_at),
            last_activity_at: Timestamp(row.last_activity_at),
        }
    }
}

const AGENTS: Listing =
    Listing { scope: Scope::Read, params: &LIST_PARAMS, repeatable: &[], order: Order::Desc };

/// All agents, the latest active first.
#[utoipa::path(get, path = "/v1/agents", tag = "Conversations", params(Paging),
    responses((status = 200, description = "Agents.", body = Page<Agent>)),
    security(("key" = ["read"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (_, list) = AGENTS.read(&req, &caller, &state).await?;
    let (visible, uri) = (caller.agents(), req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let mut rows = state.store.list_agents(visible, &list.page()).await?;
            let next = list.cut(&mut rows, |row| Position {
                at: row.last_activity_at,
                key: row.agent_id.clone(),
            });
            list::answer(uri, rows.into_iter().map(Agent::from).collect(), next)
        }
    });
    Ok(answer.await?.into())
}

/// One agent.
#[utoipa::path(get, path = "/v1/agents/{agent_id}", tag = "Conversations",
    responses((status = 200, description = "The agent.", body = Agent), (status = 304)),
    security(("key" = ["read"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    Params::parse(&req, &[], &[])?;
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

pub(super) fn no_such_agent() -> Problem {
    Problem::new(Code::NotFound, "There is no such agent.")
}
