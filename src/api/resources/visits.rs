//! `GET /v1/sessions/{session_id}/visits`: a session divided at long silences, after which another
//! visitor speaks.
//!
//! Only silence divides. A session has one `room.join`, so visitors of a kiosk cause none. A second one
//! may be a repeat with other words, or a person who joins a conversation. It only gives the start of
//! the visit that it precedes.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::answers::reads::read_shared;
use crate::api::query::list;
use crate::api::query::list::ListRequest;
use crate::api::query::number::Whole;
use crate::api::query::parameters::{Paging, Selector};
use crate::api::query::path::path_id;
use crate::api::resources::named_session::{only, session_key};
use crate::api::views::page::Page;
use crate::api::views::visit::Visit;
use crate::api::{ApiState, Caller};
use crate::problem::responses::{AmbiguousSession, ApiErrors, Errors, InvalidCursor, NotFound};
use crate::problem::{Code, Problem};
use crate::store::keys::Scope;
use crate::store::sessions::SessionRow;
use crate::store::{Order, Position};

/// Longest session that is divided, in messages: years of a busy kiosk, and a second of Postgres.
const MAX_MESSAGES: i64 = 1_000_000;

/// Place of a visit in its session, from one.
pub(crate) type VisitNumber = Whole<1, MAX_MESSAGES>;

/// Returns the longest silence within a visit to this session's agent.
pub(crate) fn longest_silence(session: &SessionRow, state: &ApiState) -> TimeDelta {
    let gap = state.visit_gaps.of(&session.agent_id);
    TimeDelta::from_std(gap).unwrap_or(TimeDelta::MAX)
}

/// A session's visits, the first one first.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/visits", tag = "Conversations",
    params(Paging, Selector),
    responses((status = 200, description = "Visits.", body = Page<Visit>),
        Errors<(ApiErrors, NotFound, AmbiguousSession, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let (selector, list) = list::read(&req, Order::Asc, &caller, &state).await?;
    let (uri, session_id) = (req.uri().clone(), path_id(&req)?);
    let before = list.before();
    let asked = Arc::new(Asked { uri, session_id, selector, list, caller: caller.clone() });
    let read = move |state| read(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, before, read).await?.into())
}

/// Visits that a request asks for.
struct Asked {
    uri: Uri,
    session_id: String,
    selector: Selector,
    list: ListRequest<Uuid>,
    caller: Caller,
}

async fn read(asked: Arc<Asked>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Asked { uri, session_id, selector, list, caller } = &*asked;
    let list = list.read_from(&state);
    let key = session_key(session_id, selector, caller);
    let session = only(state.store.find_session(key).await?)?;
    can_be_divided(&session)?;
    let gap = state.visit_gaps.of(&session.agent_id);
    let mut rows = state.store.list_visits(&session, gap, &list.page()).await?;
    let next = list.cut(&mut rows, |row| Position { at: row.first_at, key: row.first_id });
    let now = state.clock.now();
    let longest = longest_silence(&session, &state);
    let show = |row| Visit::new(row, &session, longest, now);
    page::answer(uri, rows.iter().map(show).collect(), next)
}

/// Returns the times of the first and last message of the requested visit, if there is one. No message
/// of another visit is between them, so `MessageFilter::within` accepts them.
pub(crate) async fn times(
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
    if session.message_count <= MAX_MESSAGES {
        return Ok(());
    }
    let detail = format!(
        "Sessions of more than {MAX_MESSAGES} messages are not divided into visits. Read it by \
         `after` and `before` instead."
    );
    Err(Problem::new(Code::Conflict, detail))
}
