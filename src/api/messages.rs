//! `GET /v1/sessions/{session_id}/messages`: the conversation in order.

use std::sync::Arc;

use actix_web::http::Uri;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Answer;
use super::list::{self, ListRequest, Listing, Page};
use super::openapi::{InZone, Paging, Selectors, Time};
use super::params::{Params, path_id};
use super::session::{only, session_key};
use super::timestamp::Timestamp;
use super::{ApiState, Caller, visits};
use crate::problem::Problem;
use crate::store::keys::Scope;
use crate::store::messages::{MessageFilter, MessageRow};
use crate::store::{MessagePlace, Order, Rows};

const MESSAGES: Listing = Listing {
    scope: Scope::Read,
    params: &[
        "limit", "cursor", "order", "role", "after", "before", "tz", "visit", "agent_id", "source",
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
    /// Who: `user`, `assistant`, or what the sender calls it.
    role: &'a str,
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
    pub(super) fn new(row: &'a MessageRow, session_id: &'a str, agent_id: &'a str) -> Self {
        Self {
            id: row.id,
            session_id,
            agent_id,
            role: &row.role,
            message: &row.message,
            timestamp: Timestamp(row.occurred_at),
            sent_at: row.sent_at.map(Timestamp),
            received_at: Timestamp(row.received_at),
            altered: row.altered,
            undated: row.undated,
        }
    }
}

/// The conversation in order.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/messages", tag = "Conversations",
    params(Paging, Selectors, InZone,
        ("role" = Option<String>, Query, description = "Said by this role alone, in any case; \
            `assistant` is every word for the assistant."),
        ("after" = Option<Time>, Query, description = "Later than this."),
        ("before" = Option<Time>, Query, description = "Earlier than this."),
        ("visit" = Option<i64>, Query, minimum = 1, maximum = 1_000_000, description = "Of this visit alone.")),
    responses((status = 200, description = "Messages.", body = Page<Message>)),
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
    let (uri, session_id, reads) = (req.uri().clone(), path_id(&req)?, state.reads.clone());
    let caller_too = caller.clone();
    let asked = Asked { uri, session_id, params, list, filter, visit, caller: caller_too, state };
    let asked = Arc::new(asked);
    Ok(reads.answer(&req, &caller, move || read(Arc::clone(&asked))).await?.into())
}

/// A conversation as it was asked for.
struct Asked {
    uri: Uri,
    session_id: String,
    params: Params,
    list: ListRequest<MessagePlace>,
    filter: MessageFilter,
    visit: Option<i64>,
    caller: Caller,
    state: web::Data<ApiState>,
}

async fn read(asked: Arc<Asked>) -> Result<Answer, Problem> {
    let Asked { uri, session_id, params, list, filter, visit, caller, state } = &*asked;
    let key = session_key(session_id, params, caller);
    let session = only(state.store.find_session(key).await?)?;
    let within = visits::times(*visit, &session, state).await?;
    let filter = MessageFilter { within, ..filter.clone() };
    let page = list.page();
    let Rows { mut rows, more } = state.store.read_messages(&session, &filter, &page).await?;
    let next = list.cut_short(&mut rows, more, MessageRow::position);
    let show = |row| Message::new(row, &session.session_id, &session.agent_id);
    list::answer(uri, rows.iter().map(show).collect(), next)
}
