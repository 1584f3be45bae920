//! `GET /v1/sessions/{session_id}/messages`: the conversation in order.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::list::{self, ListRequest, Listing};
use super::openapi::{InZone, Paging, Selectors, Time};
use super::params::{Params, invalid, path_id};
use super::reads::read_shared;
use super::session::{only, session_key};
use super::timestamp::Timestamp;
use super::{ApiState, Caller, visits};
use crate::domain::Roles;
use crate::domain::roles::Side;
use crate::problem::{Code, Problem};
use crate::store::around::Around;
use crate::store::keys::Scope;
use crate::store::messages::{MessageFilter, MessageRow};
use crate::store::sessions::SessionRow;
use crate::store::{MessagePlace, Order, Rows};

const MESSAGES: Listing = Listing {
    scope: Scope::Read,
    params: &[
        "limit", "cursor", "order", "role", "after", "before", "tz", "visit", "around", "agent_id",
        "source",
    ],
    repeatable: &[],
    order: Order::Asc,
};

/// Something that was said.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message<'a> {
    /// The same for every repeat of its delivery.
    id: Uuid,
    /// The sender's id of the session.
    session_id: &'a str,
    /// Whose conversation.
    agent_id: &'a str,
    /// Our id of the session, in `/v1/changes` and the stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "01999a2c-3f0b-5d51-9c55-3a1c8e0f2b64")]
    session: Option<Uuid>,
    /// Who: `user`, `assistant`, or what the sender calls it.
    role: &'a str,
    /// The side that speaks, where `role` is another word than `user` and `assistant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
    /// What.
    message: &'a str,
    /// When; it orders the conversation. Messages of one time come as they were sent, then as they
    /// arrived.
    timestamp: Timestamp,
    /// When the sender says that it sent it.
    sent_at: Option<Timestamp>,
    /// When it first arrived.
    received_at: Timestamp,
    /// Some of the text could not be stored, and shows U+FFFD in its place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    altered: bool,
    /// The sender gave no time that makes sense; `timestamp` is when it arrived.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    undated: bool,
}

impl<'a> Message<'a> {
    /// What a row of this session means.
    pub(super) fn new(
        row: &'a MessageRow,
        session_id: &'a str,
        agent_id: &'a str,
        roles: &Roles,
    ) -> Self {
        Self {
            id: row.id,
            session_id,
            agent_id,
            session: None,
            role: &row.role,
            side: roles.unnamed_side_of(&row.role),
            message: &row.message,
            timestamp: Timestamp(row.occurred_at),
            sent_at: row.sent_at.map(Timestamp),
            received_at: Timestamp(row.received_at),
            altered: row.altered,
            undated: row.undated,
        }
    }

    /// Adds our id of its session.
    pub(super) fn of_session(self, session: Uuid) -> Self {
        Self { session: Some(session), ..self }
    }
}

/// A part of a conversation.
#[derive(Serialize, ToSchema)]
#[expect(clippy::option_option, reason = "left out, null, or a value")]
pub(super) struct MessagePage<'a> {
    /// The messages, in the list's order.
    data: Vec<Message<'a>>,
    /// What to ask for the next part with; `null` at the end.
    next_cursor: Option<String>,
    /// There is a next part now.
    has_more: bool,
    /// Of a page that `around` asks for: the cursor of what comes before it. Send it with the other
    /// `order`, and the rows come the other way round. `null` at the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    previous_cursor: Option<Option<String>>,
    /// Of a page that `around` asks for: messages come before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_previous: Option<bool>,
}

/// The conversation in order.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/messages", tag = "Conversations",
    params(Paging, Selectors, InZone,
        ("role" = Option<String>, Query, description = "Said by this role alone, in any case; \
            `assistant` is every word for the assistant."),
        ("after" = Option<Time>, Query, description = "Later than this."),
        ("before" = Option<Time>, Query, description = "Earlier than this."),
        ("visit" = Option<i64>, Query, minimum = 1, maximum = 1_000_000, description = "Of this visit alone."),
        ("around" = Option<Uuid>, Query, description = "The page around the message with this id, which has \
            half of its messages before that one. With `cursor` it has no effect.")),
    responses((status = 200, description = "Messages.", body = MessagePage)),
    security(("key" = ["read"])))]
pub(super) async fn list(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (params, list) = MESSAGES.read(&req, &caller, &state).await?;
    let filter = MessageFilter {
        role: params.text("role").map(str::to_owned),
        after: params.time("after")?,
        before: params.time("before")?,
        // Found only once the session is.
        within: None,
    };
    let visit = visits::wanted(&params)?;
    let around = around(&params)?.filter(|_| list.is_first());
    let (uri, session_id, before) = (req.uri().clone(), path_id(&req)?, list.before());
    let asked =
        Asked { uri, session_id, params, list, filter, visit, around, caller: caller.clone() };
    let asked = Arc::new(asked);
    let read = move |state| read(Arc::clone(&asked), state);
    Ok(read_shared(&state, &req, &caller, before, read).await?.into())
}

/// A conversation as it was asked for.
struct Asked {
    uri: Uri,
    session_id: String,
    params: Params,
    list: ListRequest<MessagePlace>,
    filter: MessageFilter,
    visit: Option<i64>,
    around: Option<Uuid>,
    caller: Caller,
}

fn around(params: &Params) -> Result<Option<Uuid>, Problem> {
    let wrong = |_| invalid("around", "is the id of a message, a UUID");
    params.text("around").map(Uuid::try_parse).transpose().map_err(wrong)
}

async fn read(asked: Arc<Asked>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Asked { session_id, params, filter, visit, around, caller, .. } = &*asked;
    let key = session_key(session_id, params, caller);
    let session = only(state.store.find_session(key).await?)?;
    let within = visits::times(*visit, &session, &state).await?;
    let filter = MessageFilter { within, ..filter.clone() };
    match around {
        Some(id) => read_around(&asked, &state, &session, &filter, *id).await,
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
    list::linked_answer(uri, &page, next_cursor.as_deref())
}

async fn read_around(
    asked: &Asked,
    state: &ApiState,
    session: &SessionRow,
    filter: &MessageFilter,
    id: Uuid,
) -> Result<Answer, Problem> {
    let Asked { uri, params, caller, .. } = asked;
    let list = asked.list.read_from(state);
    let limit = u32::try_from(list.limit()).unwrap_or(u32::MAX);
    let found = state.store.read_messages_around(session, filter, id, list.order(), limit).await?;
    let Around { position, rows, more_before, more_after } = found.ok_or_else(|| {
        let detail = "`around` names no message of this session.";
        Problem::new(Code::NotFound, detail)
    })?;
    let end = |row: Option<&MessageRow>| row.map_or(position.clone(), MessageRow::position);
    let next = more_after.then(|| list.seal(&end(rows.last())));
    let back = |position| list.seal_back(uri.path(), params, caller, &position);
    let page = MessagePage {
        data: shown(&rows, session, state),
        next_cursor: next.clone(),
        has_more: more_after,
        previous_cursor: Some(more_before.then(|| back(end(rows.first())))),
        has_previous: Some(more_before),
    };
    list::linked_answer(uri, &page, next.as_deref())
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
