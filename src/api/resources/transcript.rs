//! `GET /v1/sessions/{session_id}/transcript`: a conversation, or one visit of it, as a file.

mod body;
mod form;
mod local_time;
mod markdown;
mod play;
mod script;
mod writer;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::auth::watch::Watch;
use crate::api::query::parameters::Selector;
use crate::api::query::path::path_id;
use crate::api::query::read::{And, read};
use crate::api::resources::export::sheet::SheetQuery;
use crate::api::resources::named_session::{only, session_key};
use crate::api::resources::transcript::form::{TranscriptQuery, Wanted};
use crate::api::resources::visits;
use crate::api::views::transcript::Transcript;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::problem::responses::{AmbiguousSession, ApiErrors, Errors, NotFound};
use crate::store::export::MessageWalk;
use crate::store::keys::Scope;
use crate::store::messages::MessageFilter;
use body::Body;

/// The whole conversation as a file.
///
/// `txt` and `md` are for people: the speaker, the local time, the day where it changes, and a line such
/// as `— 47 minutes of silence —` after a silence that is longer than within a visit. Messages are
/// indented in `txt` and quoted in `md`, and escaped, so that no text looks like another speaker's.
/// Control characters are shown as symbols (`␛`).
///
/// `json` is the session and its messages, `jsonl` an object for each message as `/messages` gives
/// it, `csv` has the columns of `/v1/export/messages`, and is written as there.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/transcript", tag = "Conversations",
    params(Selector, SheetQuery, TranscriptQuery),
    responses((status = 200, description = "The file.", content(
        (String = "text/plain",
            example = "Session:       A80HVD8577_5f3c1a\n\nMonday, 28 September 2026\n\n\
                [16:54:13 +02:00] User: Hello!\n"),
        (String = "text/markdown",
            example = "# Conversation with A80HVD8577\n\n- **Session:** A80HVD8577\\_5f3c1a\n\n\
                ## Monday, 28 September 2026\n\n**User** · 16:54:13 +02:00\n\n> Hello!\n\n"),
        (Transcript = "application/json"),
        (String = "application/x-ndjson", example = "{\"role\":\"user\",\"message\":\"Hello!\"}\n"),
        (String = "text/csv", example = "role,message,timestamp,local_time\r\n\
                user,Hello!,2026-09-28T14:54:13.000000Z,2026-09-28T16:54:13.000000+02:00\r\n"))),
        Errors<(ApiErrors, NotFound, AmbiguousSession)>),
    security(("key" = ["read"])))]
pub(crate) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let And(selector, And(sheet, query)) =
        read::<And<Selector, And<SheetQuery, TranscriptQuery>>>(&req)?;
    let wanted = Wanted::of_query(query, &sheet)?;
    let session_id = path_id(&req)?;
    let session =
        only(state.store.find_session(session_key(&session_id, &selector, &caller)).await?)?;
    let within = visits::times(wanted.visit, &session, &state).await?;
    let (format, name) = (wanted.format, wanted.file_name(&session.session_id));
    let mut response = HttpResponse::Ok();
    response.content_type(format.content_type()).insert_header((CONTENT_DISPOSITION, name));
    if req.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let writer = wanted.writer(&session, within, &state).map_err(Problem::internal)?;
    let filter = MessageFilter { within, ..MessageFilter::default() };
    let walk = MessageWalk::of_session(state.store.clone(), session, filter);
    let watch = Watch::new(&caller, &state, &[Scope::Read]);
    // The first part is read before the status is sent.
    let body = Body::begin(walk, writer, watch, &state.held, caller.key_id()).await?;
    Ok(response.streaming(body.into_stream()))
}
