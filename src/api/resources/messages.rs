//! `GET /v1/sessions/{session_id}/messages`: the conversation in order.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::api::answers::answer::Answer;
use crate::api::answers::page;
use crate::api::answers::reads::read_shared;
use crate::api::query::list;
use crate::api::query::list::ListRequest;
use crate::api::query::number::Whole;
use crate::api::query::parameters::{InZone, Paging, Selector};
use crate::api::query::path::path_id;
use crate::api::query::read::And;
use crate::api::query::time::Time;
use crate::api::resources::named_session::{only, session_key};
use crate::api::resources::visits::{self, VisitNumber};
use crate::api::views::message::{Message, MessagePage};
use crate::api::{ApiState, Caller};
use crate::problem::responses::{AmbiguousSession, ApiErrors, Errors, InvalidCursor, NotFound};
use crate::problem::{Code, Problem};
use crate::store::around::Around;
use crate::store::keys::Scope;
use crate::store::messages::{MessageFilter, MessageRow};
use crate::store::sessions::SessionRow;
use crate::store::{MessagePlace, Order, Rows};

/// Filters of messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageQuery {
    /// Only this role, in any case; `assistant` is every word for the assistant.
    #[param(example = "user")]
    role: Option<String>,
    /// Later than this.
    #[param(example = "2026-09-28T00:00:00Z")]
    after: Option<Time>,
    /// Earlier than this.
    #[param(example = "2026-09-29T00:00:00Z")]
    before: Option<Time>,
    /// Only this visit.
    #[param(inline, example = 1)]
    visit: Option<VisitNumber>,
}

/// Choice of a page by one of its messages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AroundQuery {
    /// The page around the message with this id, which has half of its messages before that one. It has
    /// no effect with `cursor`.
    #[param(value_type = Option<Uuid>, example = "01999a2c-3f0b-7d51-9c55-3a1c8e0f2b64")]
    around: Option<MessageId>,
}

/// ID of a message.
#[derive(Clone, Copy, Debug)]
struct MessageId(Uuid);

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let id = Uuid::try_parse(&text).map(Self);
        id.map_err(|_| D::Error::custom("is the id of a message, a UUID"))
    }
}

/// Filters of a conversation: the choice of its session, and those of its messages.
type Filters = And<InZone, And<Selector, MessageQuery>>;

/// The conversation in order.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/messages", tag = "Conversations",
    params(Paging, Selector, InZone, MessageQuery, AroundQuery),
    responses((status = 200, description = "Messages.", body = MessagePage),
        Errors<(ApiErrors, NotFound, AmbiguousSession, InvalidCursor)>),
    security(("key" = ["read"])))]
pub(crate) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let (filters, AroundQuery { around }, list) =
        list::read_with::<Paging, Filters, _, _>(&req, Order::Asc, &caller, &state).await?;
    let And(_, And(selector, query)) = filters;
    let asked = Arc::new(Asked {
        uri: req.uri().clone(),
        session_id: path_id(&req)?,
        selector,
        visit: query.visit.map(Whole::get),
        around: around.filter(|_| list.is_first()),
        filter: query.filter(),
        list,
        caller: caller.clone(),
    });
    let before = asked.list.before();
    let read = move |state| read(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, before, read).await?.into())
}

/// Messages that a request asks for.
struct Asked {
    uri: Uri,
    session_id: String,
    selector: Selector,
    list: ListRequest<MessagePlace>,
    filter: MessageFilter,
    visit: Option<i64>,
    around: Option<MessageId>,
    caller: Caller,
}

impl MessageQuery {
    /// Returns the filter that the query describes. The times of the visit are known once the session
    /// is found.
    fn filter(self) -> MessageFilter {
        MessageFilter {
            role: self.role,
            after: self.after.map(Time::utc),
            before: self.before.map(Time::utc),
            within: None,
        }
    }
}

async fn read(asked: Arc<Asked>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Asked { session_id, selector, filter, visit, around, caller, .. } = &*asked;
    let key = session_key(session_id, selector, caller);
    let session = only(state.store.find_session(key).await?)?;
    let within = visits::times(*visit, &session, &state).await?;
    let filter = MessageFilter { within, ..filter.clone() };
    match around {
        Some(MessageId(id)) => read_around(&asked, &state, &session, &filter, *id).await,
        None => read_page(&asked, &state, &session, &filter).await,
    }
}

async fn read_page(
    asked: &Asked,
    state: &ApiState,
    session: &SessionRow,
    filter: &MessageFilter,
) -> Result<Answer, Problem> {
    let (uri, list) = (&asked.uri, asked.list.read_from(state));
    let page = list.page();
    let Rows { mut rows, more } = state.store.read_messages(session, filter, &page).await?;
    let next_cursor = list.cut_short(&mut rows, more, MessageRow::position);
    let page = MessagePage {
        data: shown(&rows, session, state),
        has_more: next_cursor.is_some(),
        next_cursor: next_cursor.clone(),
        previous_cursor: None,
        has_previous: None,
    };
    page::linked_answer(uri, &page, next_cursor.as_deref())
}

async fn read_around(
    asked: &Asked,
    state: &ApiState,
    session: &SessionRow,
    filter: &MessageFilter,
    id: Uuid,
) -> Result<Answer, Problem> {
    let (uri, list) = (&asked.uri, asked.list.read_from(state));
    let limit = u32::try_from(list.limit()).unwrap_or(u32::MAX);
    let found = state.store.read_messages_around(session, filter, id, list.order(), limit).await?;
    let Around { position, rows, more_before, more_after } = found.ok_or_else(|| {
        let detail = "`around` names no message of this session.";
        Problem::new(Code::NotFound, detail)
    })?;
    let end = |row: Option<&MessageRow>| row.map_or(position.clone(), MessageRow::position);
    let next = more_after.then(|| list.seal(&end(rows.last())));
    let back = |position| list.seal_back(&position);
    let page = MessagePage {
        data: shown(&rows, session, state),
        next_cursor: next.clone(),
        has_more: more_after,
        previous_cursor: Some(more_before.then(|| back(end(rows.first())))),
        has_previous: Some(more_before),
    };
    page::linked_answer(uri, &page, next.as_deref())
}

fn shown<'a>(
    rows: &'a [MessageRow],
    session: &'a SessionRow,
    state: &ApiState,
) -> Vec<Message<'a>> {
    let (session_id, agent_id, roles) =
        (&session.session_id, &session.agent_id, state.store.roles());
    rows.iter().map(|row| Message::new(row, session_id, agent_id, roles)).collect()
}
