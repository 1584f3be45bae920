//! `GET /v1/sessions`, `GET /v1/agents/{agent_id}/sessions` and `GET /v1/sessions/{session_id}`.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};

use super::agents::no_such_agent;
use super::answer::Answer;
use super::completeness::completeness;
use super::continuation::{continued_by, continues};
use super::list::{self, ListRequest, Listing, Page};
use super::openapi::{Paging, Selectors, SessionFilters};
use super::params::{Params, path_id};
use super::reads::{read_alone, read_shared};
use super::session::{Background, Session, only, session_key};
use super::{ApiState, Caller};
use crate::domain::session::Status;
use crate::problem::Problem;
use crate::store::Order;
use crate::store::figures::SessionCounts;
use crate::store::keys::Scope;
use crate::store::sessions::{SessionFilter, SessionRow, Sort};

/// Messages of each session that `include=messages` brings at the most.
const INCLUDED_MESSAGES: u32 = 200;

/// What the lists of sessions can be asked; `agent_id` stands last, since one of them has it in
/// its path.
const PARAMS: [&str; 23] = [
    "limit",
    "cursor",
    "order",
    "sort",
    "source",
    "room_name",
    "status",
    "opened_by",
    "started_after",
    "started_before",
    "active_after",
    "active_before",
    "tz",
    "min_messages",
    "max_messages",
    "min_duration",
    "max_duration",
    "silent",
    "engaged",
    "single_turn",
    "flag",
    "include",
    "agent_id",
];

/// What each session of a list can be shown with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    /// Its first messages.
    Messages,
    /// The first message of its user.
    FirstUserMessage,
    /// Its completeness flags.
    Flags,
}

const EXTRAS: [(&str, Extra); 3] = [
    ("messages", Extra::Messages),
    ("first_user_message", Extra::FirstUserMessage),
    ("flags", Extra::Flags),
];

/// Longest duration that can be asked for, in seconds: a hundred years.
const LONGEST_SECONDS: i64 = 3_153_600_000;

/// What one session is told with where it is asked for, since it has to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    /// Whether it is all there: a look at every message.
    Completeness,
    /// What seems to go on from it.
    Continues,
}

const BACKGROUND: [(&str, Include); 2] =
    [("completeness", Include::Completeness), ("continues", Include::Continues)];

const SESSIONS: Listing = Listing {
    scope: Scope::Read,
    params: &PARAMS,
    repeatable: &["agent_id", "flag"],
    order: Order::Desc,
};

/// The same without the filter that is in the path.
const SESSIONS_OF_AGENT: Listing =
    Listing { params: PARAMS.split_at(PARAMS.len() - 1).0, repeatable: &["flag"], ..SESSIONS };

/// All sessions, the latest active first, or in the order that `sort` names.
#[utoipa::path(get, path = "/v1/sessions", tag = "Conversations",
    params(Paging, SessionFilters,
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat.")),
    responses((status = 200, description = "Sessions.", body = Page<Session>)),
    security(("key" = ["read"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = SESSIONS.read(&req, &caller, &state).await?;
    let filter = filter(&params, &state, visible(&caller, params.texts("agent_id")))?;
    let sort = sort(&params)?;
    let (filter, params, uri) = (&filter, &params, req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let rows = state.store.list_sessions(filter, sort, &list.page()).await?;
            respond(uri, params, &state, &list, sort, rows).await
        }
    });
    Ok(answer.await?.into())
}

/// An agent's sessions, the latest active first, or in the order that `sort` names.
#[utoipa::path(get, path = "/v1/agents/{agent_id}/sessions", tag = "Conversations",
    params(Paging, SessionFilters),
    responses((status = 200, description = "The agent's sessions.", body = Page<Session>)),
    security(("key" = ["read"])))]
pub(super) async fn list_of_agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = SESSIONS_OF_AGENT.read(&req, &caller, &state).await?;
    let agent_id = path_id(&req)?;
    if !caller.sees(&agent_id) {
        return Err(no_such_agent());
    }
    let filter = filter(&params, &state, Some(vec![agent_id.clone()]))?;
    let sort = sort(&params)?;
    let (agent_id, filter, params, uri) = (&agent_id, &filter, &params, req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let rows = state.store.list_sessions(filter, sort, &list.page()).await?;
            if rows.is_empty() && list.is_first() {
                // An empty list is an answer about an agent that exists.
                state.store.find_agent(agent_id).await?.ok_or_else(no_such_agent)?;
            }
            respond(uri, params, &state, &list, sort, rows).await
        }
    });
    Ok(answer.await?.into())
}

/// One session.
#[utoipa::path(get, path = "/v1/sessions/{session_id}", tag = "Conversations",
    params(Selectors,
        ("include" = Option<String>, Query, example = "completeness",
            pattern = "^(completeness|continues|completeness,continues|continues,completeness)$",
            description = "`completeness`, and `continues` for `continued_by`; separated by commas. Both have to be looked for.")),
    responses((status = 200, description = "The session.", body = Session), (status = 304)),
    security(("key" = ["read"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let params = Params::parse(&req, &["include", "agent_id", "source"], &[])?;
    params.words("include", &BACKGROUND)?;
    let session_id = path_id(&req)?;
    let asked = Arc::new((session_id, params, caller.clone()));
    let read = move |state| read(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, None, read).await?.tagged(&req))
}

async fn read(
    asked: Arc<(String, Params, Caller)>,
    state: web::Data<ApiState>,
) -> Result<Answer, Problem> {
    let (session_id, params, caller) = &*asked;
    let key = session_key(session_id, params, caller);
    let row = only(state.store.find_session(key).await?)?;
    let included = params.words("include", &BACKGROUND)?;
    let mut background =
        Background { continues: continues(&row, &state).await?, ..Background::default() };
    if included.contains(&Include::Continues) {
        background.continued_by = Some(continued_by(&row, &state).await?);
    }
    if included.contains(&Include::Completeness) {
        background.completeness = Some(completeness(&row, &state).await?);
    }
    let session = Session::new(&row, state.silence, state.clock.now());
    Answer::of(&session.with_background(background))
}

/// Answers a page of sessions, with what is to be included of each.
async fn respond(
    uri: &Uri,
    params: &Params,
    state: &ApiState,
    list: &ListRequest<uuid::Uuid>,
    sort: Sort,
    mut rows: Vec<SessionRow>,
) -> Result<Answer, Problem> {
    let position = |row: &SessionRow| sort.position(row);
    let mut next = list.cut(&mut rows, position);
    let extras = params.words("include", &EXTRAS)?;
    let wants = |extra| extras.contains(&extra);
    let messages = if wants(Extra::Messages) {
        Some(state.store.beginnings(&rows, INCLUDED_MESSAGES).await?)
    } else {
        None
    };
    if let Some(messages) = messages.as_ref().filter(|messages| messages.len() < rows.len()) {
        rows.truncate(messages.len());
        next = list.cut_short(&mut rows, true, position);
    }
    let first = if wants(Extra::FirstUserMessage) {
        Some(state.store.first_user_messages(&rows).await?)
    } else {
        None
    };
    let flags =
        if wants(Extra::Flags) { Some(state.store.completeness_flags(&rows).await?) } else { None };
    let now = state.clock.now();
    let data = rows.iter().enumerate().map(|(place, row)| {
        let session = Session::new(row, state.silence, now);
        let session = match messages.as_ref().and_then(|all| all.get(place)) {
            Some(messages) => session.with_messages(row, messages, state.store.roles()),
            None => session,
        };
        let first = first.as_ref().map(|all| all.get(&row.id));
        session.with_extras(first, flags.as_ref().map(|all| all.get(&row.id)))
    });
    list::answer(uri, data.collect(), next)
}

/// The order that is asked for.
fn sort(params: &Params) -> Result<Sort, Problem> {
    let sorts = [
        ("activity", Sort::Activity),
        ("started", Sort::Started),
        ("duration", Sort::Duration),
        ("messages", Sort::Messages),
    ];
    Ok(params.choice("sort", &sorts)?.unwrap_or_default())
}

/// Of the agents that are asked for, those that the caller may see.
pub(super) fn visible(caller: &Caller, wanted: Option<Vec<String>>) -> Option<Vec<String>> {
    match (wanted, caller.agents()) {
        (None, bound) => bound.map(<[_]>::to_vec),
        (Some(wanted), _) => Some(wanted.into_iter().filter(|id| caller.sees(id)).collect()),
    }
}

/// Which sessions are asked for.
pub(super) fn filter(
    params: &Params,
    state: &ApiState,
    agents: Option<Vec<String>>,
) -> Result<SessionFilter, Problem> {
    // Misspelt, it would be found only after the list was read.
    params.words("include", &EXTRAS)?;
    let seconds = |name| {
        let seconds = params.number(name, 0, LONGEST_SECONDS)?;
        Ok::<_, Problem>(seconds.map(|seconds| seconds * 1_000_000))
    };
    let flags = params.choices("flag", &SessionCounts::FLAGS.map(|name| (name, name)))?;
    let now = state.clock.now();
    let text = |name| params.text(name).map(str::to_owned);
    Ok(SessionFilter {
        agents,
        source: text("source"),
        room_name: text("room_name"),
        status: params.choice(
            "status",
            &[("live", Status::Live), ("idle", Status::Idle), ("ended", Status::Ended)],
        )?,
        live_since: state.silence.live_since(now),
        open_since: state.silence.open_since(now),
        opened_by: params
            .choice("opened_by", &[("room.join", "room.join"), ("chat.push", "chat.push")])?,
        started_after: params.time("started_after")?,
        started_before: params.time("started_before")?,
        active_after: params.time("active_after")?,
        active_before: params.time("active_before")?,
        min_messages: params.number("min_messages", 0, i64::MAX)?,
        max_messages: params.number("max_messages", 0, i64::MAX)?,
        min_duration_us: seconds("min_duration")?,
        max_duration_us: seconds("max_duration")?,
        silent: params.flag("silent")?,
        engaged: params.flag("engaged")?,
        single_turn: params.flag("single_turn")?,
        flags: flags.map(|names| names.into_iter().map(str::to_owned).collect()),
    })
}
