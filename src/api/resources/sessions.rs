//! `GET /v1/sessions`, `GET /v1/agents/{agent_id}/sessions` and `GET /v1/sessions/{session_id}`.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::answers::reads::{read_alone, read_shared};
use crate::api::query::list;
use crate::api::query::list::ListRequest;
use crate::api::query::number::Whole;
use crate::api::query::parameters::{InZone, Paging, Selector};
use crate::api::query::path::path_id;
use crate::api::query::read::{self, And};
use crate::api::query::time::Time;
use crate::api::query::words::{OneOf, Word, Words};
use crate::api::resources::agents::no_such_agent;
use crate::api::resources::named_session::{only, session_key};
use crate::api::resources::session_background::{completeness, continued_by, continues};
use crate::api::resources::session_words::{
    FlagWords, MessageCount, OpenedByWord, Seconds, SortWord, flag_names,
};
use crate::api::views::page::Page;
use crate::api::views::session::{Background, Session};
use crate::api::{ApiState, Caller};
use crate::domain::session::Status;
use crate::problem::Problem;
use crate::problem::responses::{AmbiguousSession, ApiErrors, Errors, InvalidCursor, NotFound};
use crate::store::Order;
use crate::store::keys::Scope;
use crate::store::sessions::{SessionFilter, SessionRow, Sort};

/// Most messages of each session with `include=messages`.
const INCLUDED_MESSAGES: u32 = 200;

/// Filters and order of lists of sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Delivered by this source.
    #[param(example = "default")]
    source: Option<String>,
    /// In this room.
    #[param(example = "room-5f3c1a")]
    room_name: Option<String>,
    /// Status at the time of the answer.
    #[param(value_type = Option<Status>, example = "live")]
    status: Option<OneOf<Status>>,
    /// First event.
    #[param(inline, example = "room.join")]
    opened_by: Option<OpenedByWord>,
    /// Started later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    started_after: Option<Time>,
    /// Started earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    started_before: Option<Time>,
    /// Last active later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    active_after: Option<Time>,
    /// Last active earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    active_before: Option<Time>,
    /// Key of the order. By `started`, `duration` or `messages`, all sessions that match the other
    /// filters are read.
    #[param(inline, example = "activity")]
    sort: Option<SortWord>,
    /// Least number of messages.
    #[param(inline, example = 2)]
    min_messages: Option<MessageCount>,
    /// Most messages.
    #[param(inline, example = 100)]
    max_messages: Option<MessageCount>,
    /// Least seconds, as in `duration_seconds`.
    #[param(inline, example = 60)]
    min_duration: Option<Seconds>,
    /// Most seconds.
    #[param(inline, example = 3_600)]
    max_duration: Option<Seconds>,
    /// With a join or an assistant message, and without a user message, as `silent_sessions` counts
    /// them; `false` is all others.
    #[param(example = true)]
    silent: Option<bool>,
    /// With a user message, as `engaged_sessions` counts them; `false` is all others.
    #[param(example = true)]
    engaged: Option<bool>,
    /// With exactly one user turn, as `single_turn_sessions` counts them; `false` is all others.
    #[param(example = true)]
    single_turn: Option<bool>,
    /// With one of these completeness flags; may repeat, or have commas between.
    #[param(inline, example = json!(["no_join"]))]
    #[serde(default)]
    flag: FlagWords,
}

/// Agents of a list of sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfAgents {
    /// Only these agents; may repeat.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
}

/// Extras of each session of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExtraQuery {
    /// Extras of each session, separated by commas: `messages` are its first 200,
    /// `first_user_message` is the beginning of its user's first message, and `flags` names the signs
    /// that it is not complete.
    #[param(
        value_type = Option<String>,
        pattern = "^(messages|first_user_message|flags)(,(messages|first_user_message|flags)){0,2}$",
        example = "first_user_message,flags"
    )]
    #[serde(default)]
    include: Words<Extra>,
}

/// Background of one session.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BackgroundQuery {
    /// `completeness`, and `continues` for `continued_by`; separated by commas. Both take further
    /// queries.
    #[param(
        value_type = Option<String>,
        pattern = "^(completeness|continues|completeness,continues|continues,completeness)$",
        example = "completeness"
    )]
    #[serde(default)]
    include: Words<Include>,
}

/// Extra of each session of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    /// Its first messages.
    Messages,
    /// The first message of its user.
    FirstUserMessage,
    /// Its completeness flags.
    Flags,
}

impl Word for Extra {
    fn all() -> Vec<Self> {
        vec![Self::Messages, Self::FirstUserMessage, Self::Flags]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::FirstUserMessage => "first_user_message",
            Self::Flags => "flags",
        }
    }
}

/// Background of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    /// Signs that something is missing: every message is examined.
    Completeness,
    /// The sessions that seem to continue it.
    Continues,
}

impl Word for Include {
    fn all() -> Vec<Self> {
        vec![Self::Completeness, Self::Continues]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Completeness => "completeness",
            Self::Continues => "continues",
        }
    }
}

impl SessionQuery {
    /// Returns the filter that the query describes, and the order.
    fn filter(self, state: &ApiState, agents: Option<Vec<String>>) -> (SessionFilter, Sort) {
        let now = state.clock.now();
        let micros = |seconds: Seconds| seconds.get() * 1_000_000;
        let filter = SessionFilter {
            agents,
            source: self.source,
            room_name: self.room_name,
            status: self.status.map(|OneOf(status)| status),
            live_since: state.silence.live_since(now),
            open_since: state.silence.open_since(now),
            opened_by: self.opened_by.map(|OneOf(event)| event.word()),
            started_after: self.started_after.map(Time::utc),
            started_before: self.started_before.map(Time::utc),
            active_after: self.active_after.map(Time::utc),
            active_before: self.active_before.map(Time::utc),
            min_messages: self.min_messages.map(Whole::get),
            max_messages: self.max_messages.map(Whole::get),
            min_duration_us: self.min_duration.map(micros),
            max_duration_us: self.max_duration.map(micros),
            silent: self.silent,
            engaged: self.engaged,
            single_turn: self.single_turn,
            flags: flag_names(self.flag),
        };
        (filter, self.sort.map_or_else(Sort::default, |OneOf(sort)| sort))
    }
}

/// All sessions, the latest active first, or in the order that `sort` names.
#[utoipa::path(get, path = "/v1/sessions", tag = "Conversations",
    params(Paging, InZone, SessionQuery, OfAgents, ExtraQuery),
    responses((status = 200, description = "Sessions.", body = Page<Session>),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let (filters, extras, list) = list::read_with::<
        Paging,
        And<InZone, And<SessionQuery, OfAgents>>,
        ExtraQuery,
        _,
    >(&req, Order::Desc, &caller, &state)
    .await?;
    let And(_, And(query, OfAgents { agent_id })) = filters;
    let (filter, sort) = query.filter(&state, caller.visible_of(agent_id));
    let (filter, extras, uri) = (&filter, &extras, req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let rows = state.store.list_sessions(filter, sort, &list.page()).await?;
            respond(uri, extras, &state, &list, sort, rows).await
        }
    });
    Ok(answer.await?.into())
}

/// An agent's sessions, the latest active first, or in the order that `sort` names.
#[utoipa::path(get, path = "/v1/agents/{agent_id}/sessions", tag = "Conversations",
    params(Paging, InZone, SessionQuery, ExtraQuery),
    responses((status = 200, description = "The agent's sessions.", body = Page<Session>),
        Errors<(ApiErrors, NotFound, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list_of_agent(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let (And(_, query), extras, list) = list::read_with::<
        Paging,
        And<InZone, SessionQuery>,
        ExtraQuery,
        _,
    >(&req, Order::Desc, &caller, &state)
    .await?;
    let agent_id = path_id(&req)?;
    if !caller.sees(&agent_id) {
        return Err(no_such_agent());
    }
    let (filter, sort) = query.filter(&state, Some(vec![agent_id.clone()]));
    let (agent_id, filter, extras, uri) = (&agent_id, &filter, &extras, req.uri());
    let answer = read_alone(&state, &req, list.before(), |state| {
        let list = list.read_from(&state);
        async move {
            let rows = state.store.list_sessions(filter, sort, &list.page()).await?;
            if rows.is_empty() && list.is_first() {
                // An empty list is an answer about an agent that exists.
                state.store.find_agent(agent_id).await?.ok_or_else(no_such_agent)?;
            }
            respond(uri, extras, &state, &list, sort, rows).await
        }
    });
    Ok(answer.await?.into())
}

/// One session.
#[utoipa::path(get, path = "/v1/sessions/{session_id}", tag = "Conversations",
    params(Selector, BackgroundQuery),
    responses((status = 200, description = "The session.", body = Session), (status = 304),
        Errors<(ApiErrors, NotFound, AmbiguousSession)>),
    security(("key" = ["read"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let And(selector, BackgroundQuery { include }) =
        read::read::<And<Selector, BackgroundQuery>>(&req)?;
    let session_id = path_id(&req)?;
    let asked = Arc::new(Asked { session_id, selector, include, caller: caller.clone() });
    let read = move |state| read_session(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, None, read).await?.tagged(&req))
}

/// One session that a request asks for.
struct Asked {
    session_id: String,
    selector: Selector,
    include: Words<Include>,
    caller: Caller,
}

async fn read_session(asked: Arc<Asked>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Asked { session_id, selector, include, caller } = &*asked;
    let key = session_key(session_id, selector, caller);
    let row = only(state.store.find_session(key).await?)?;
    let mut background =
        Background { continues: continues(&row, &state).await?, ..Background::default() };
    if include.has(Include::Continues) {
        background.continued_by = Some(continued_by(&row, &state).await?);
    }
    if include.has(Include::Completeness) {
        background.completeness = Some(completeness(&row, &state).await?);
    }
    let session = Session::new(&row, state.silence, state.clock.now());
    Answer::of(&session.with_background(background))
}

/// Answers a page of sessions with their extras.
async fn respond(
    uri: &Uri,
    extras: &ExtraQuery,
    state: &ApiState,
    list: &ListRequest<uuid::Uuid>,
    sort: Sort,
    mut rows: Vec<SessionRow>,
) -> Result<Answer, Problem> {
    let position = |row: &SessionRow| sort.position(row);
    let mut next = list.cut(&mut rows, position);
    let wants = |extra| extras.include.has(extra);
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
    page::answer(uri, data.collect(), next)
}
