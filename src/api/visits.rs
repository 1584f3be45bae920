//! `GET /v1/sessions/{session_id}/visits`: a session divided where a long silence says that
//! somebody else speaks.
//!
//! Silence alone divides. A `room.join` comes once in a session, so that visitors of a kiosk bring
//! none; where a second one comes all the same it may be a repeat in other words, or somebody who
//! joins those who are talking. It only says when the visit began that it precedes.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::list::{self, ListRequest, Listing, Page};
use super::openapi::{Paging, Selectors};
use super::params::{Params, path_id};
use super::reads::read_shared;
use super::session::{only, seconds_between, session_key};
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::store::sessions::SessionRow;
use crate::store::visits::VisitRow;
use crate::store::{Order, Position};

/// Longest session that is divided, in messages: years of a busy kiosk, and a second or so of
/// Postgres' time.
const MOST_MESSAGES: i64 = 1_000_000;

const VISITS: Listing = Listing {
    scope: Scope::Read,
    params: &["limit", "cursor", "order", "agent_id", "source"],
    repeatable: &[],
    order: Order::Asc,
};

/// One visitor's part of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Visit {
    /// Its place in the session, from one: what `?visit=` takes. It stays as messages come; one
    /// that comes late, and was said in or between earlier visits, can shift those after it.
    visit: i64,
    /// `room.join` where one came shortly before its first message, else `chat.push`.
    opened_by: &'static str,
    /// That join, or its first message.
    started_at: Timestamp,
    /// Its last message.
    last_activity_at: Timestamp,
    /// Its last message, once nobody can add to it any more; `null` while it may go on.
    ended_at: Option<Timestamp>,
    /// From its start to its last message, in seconds.
    duration_seconds: f64,
    /// From the last message of the visit before it to its first, in seconds; `null` for the first.
    silence_before_seconds: Option<f64>,
    /// Messages by anybody.
    message_count: i64,
    /// Messages of the user, whose role is `user` in any case.
    user_message_count: i64,
    /// Messages of the assistant, by any word that the sender has for it.
    assistant_message_count: i64,
}

impl Visit {
    fn new(row: &VisitRow, session: &SessionRow, state: &ApiState, now: DateTime<Utc>) -> Self {
        let started_at = row.joined_at.unwrap_or(row.first_at);
        let silent = now - row.last_at > longest_silence(session, state);
        let ended = !row.is_last || session.end_event_at.is_some() || silent;
        Self {
            visit: row.number,
            opened_by: if row.joined_at.is_some() { "room.join" } else { "chat.push" },
            started_at: Timestamp(started_at),
            last_activity_at: Timestamp(row.last_at),
            ended_at: ended.then_some(Timestamp(row.last_at)),
            duration_seconds: seconds_between(started_at, row.last_at),
            silence_before_seconds: row.previous_at.map(|at| seconds_between(at, row.first_at)),
            message_count: row.message_count,
            user_message_count: row.user_message_count,
            assistant_message_count: row.assistant_message_count,
        }
    }
}

/// The longest silence within a visit to this session's agent.
pub(super) fn longest_silence(session: &SessionRow, state: &ApiState) -> TimeDelta {
    let gap = state.visit_gaps.of(&session.agent_id);
    TimeDelta::from_std(gap).unwrap_or(TimeDelta::MAX)
}

/// A session's visits, the first one first.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/visits", tag = "Conversations",
    params(Paging, Selectors),
    responses((status = 200, description = "Visits.", body = Page<Visit>)),
    security(("key" = ["read"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = VISITS.read(&req, &caller, &state).await?;
    let (uri, session_id) = (req.uri().clone(), path_id(&req)?);
    let before = list.before();
    let asked = Arc::new(Asked { uri, session_id, params, list, caller: caller.clone() });
    let read = move |state| read(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, before, read).await?.into())
}

/// A session's visits as they were asked for.
struct Asked {
    uri: Uri,
    session_id: String,
    params: Params,
    list: ListRequest<Uuid>,
    caller: Caller,
}

async fn read(asked: Arc<Asked>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Asked { uri, session_id, params, list, caller } = &*asked;
    let list = list.read_from(&state);
    let key = session_key(session_id, params, caller);
    let session = only(state.store.find_session(key).await?)?;
    can_be_divided(&session)?;
    let gap = state.visit_gaps.of(&session.agent_id);
    let mut rows = state.store.list_visits(&session, gap, &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.first_at, key: row.first_id });
    let now = state.clock.now();
    let show = |row| Visit::new(row, &session, &state, now);
    list::answer(uri, rows.iter().map(show).collect(), next)
}

/// The number that `visit=` asks for, if it does.
pub(super) fn wanted(params: &Params) -> Result<Option<i64>, Problem> {
    params.number("visit", 1, MOST_MESSAGES)
}

/// The times of the first and the last message of the visit that is asked for, if one is. Nothing
/// of another visit lies between them: `MessageFilter::within` takes them.
pub(super) async fn times(
    visit: Option<i64>,
    session: &SessionRow,
    state: &ApiState,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, Problem> {
    let Some(number) = visit else { return Ok(None) };
    can_be_divided(session)?;
    let gap = state.visit_gaps.of(&session.agent_id);
    let found = state.store.find_visit(session, gap, number).await?;
    let times = found.ok_or_else(|| {
        Problem::new(Code::NotFound, format!("The session has no visit {number}, or not yet."))
    })?;
    Ok(Some(times))
}

fn can_be_divided(session: &SessionRow) -> Result<(), Problem> {
    if session.message_count <= MOST_MESSAGES {
        return Ok(());
    }
    let detail = format!(
        "Sessions of more than {MOST_MESSAGES} messages are not divided into visits. Read it by \
         `after` and `before` instead."
    );
    Err(Problem::new(Code::Conflict, detail))
}
