//! `GET /v1/sessions/{session_id}/transcript`: the whole conversation as a file, read and sent a
//! part at a time, so that its length does not matter.

use std::fmt::Write as _;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use futures_util::stream::{self, Stream};

use super::messages::Message;
use super::openapi::Selectors;
use super::params::{Params, path_id};
use super::session::{Session, only, session_key};
use super::timestamp::Timestamp;
use super::{ApiState, Caller};
use crate::problem::{Problem, REQUEST_ID};
use crate::store::keys::Scope;
use crate::store::messages::{MessageFilter, MessageRow};
use crate::store::sessions::SessionRow;
use crate::store::{Order, PageRequest, Position, Store};

/// Messages that are read at a time.
const PART: u32 = 200;
/// Longest name of a file, without its extension.
const LONGEST_NAME: usize = 80;

/// What the file is.
#[derive(Clone, Copy, Debug, utoipa::ToSchema)]
#[schema(as = TranscriptFormat, rename_all = "lowercase")]
enum Format {
    /// For a person.
    Txt,
    /// `{"session": …, "messages": […]}`.
    Json,
}

/// The whole conversation as a file.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/transcript", tag = "Conversations",
    params(Selectors, ("format" = inline(Option<Format>), Query, description = "What the file is; `txt` by default.")),
    responses((status = 200, description = "The file, under a name of its own.", content(
        (String = "text/plain", example = "[2026-09-28 14:54:13 UTC] User: Hello!\n"),
        (Transcript = "application/json")))),
    security(("key" = ["read"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let params = Params::parse(&req, &["format", "agent_id", "source"], &[])?;
    let format = params
        .choice("format", &[("txt", Format::Txt), ("json", Format::Json)])?
        .unwrap_or(Format::Txt);
    let session_id = path_id(&req)?;
    let key = session_key(&session_id, &params, &caller);
    let session = only(state.store.find_session(key).await?)?;
    let opening = format.opening(&session, &state).map_err(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((CONTENT_DISPOSITION, disposition(&session.session_id, format)))
        .streaming(body(state.store.clone(), session, format, opening)))
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Self::Txt => "text/plain; charset=utf-8",
            Self::Json => "application/json",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
        }
    }

    /// What stands before the messages.
    fn opening(self, row: &SessionRow, state: &ApiState) -> serde_json::Result<String> {
        match self {
            Self::Txt => Ok(header(row)),
            Self::Json => {
                let session = Session::new(row, state.silence, state.clock.now());
                let session = serde_json::to_string(&session)?;
                Ok(format!("{{\"session\":{session},\"messages\":["))
            }
        }
    }

    /// One message.
    fn message(
        self,
        out: &mut Vec<u8>,
        session: &SessionRow,
        row: &MessageRow,
        first: bool,
    ) -> serde_json::Result<()> {
        match self {
            Self::Txt => out.extend_from_slice(line(row).as_bytes()),
            Self::Json => {
                if !first {
                    out.push(b',');
                }
                let message = Message::new(row, &session.session_id, &session.agent_id);
                serde_json::to_writer(out, &message)?;
            }
        }
        Ok(())
    }

    /// What stands after them.
    fn closing(self) -> &'static str {
        match self {
            Self::Txt => "",
            Self::Json => "]}\n",
        }
    }
}

/// A file of JSON, which is written a part at a time.
#[expect(dead_code, reason = "it stands in the document alone")]
#[derive(utoipa::ToSchema)]
struct Transcript<'a> {
    session: Session<'a>,
    messages: Vec<Message<'a>>,
}

/// Where the file stands.
enum Progress {
    Opening(String),
    Messages(Option<Position>),
    Done,
}

/// The file, a part at a time. What goes wrong on the way breaks it off, which a client sees: the
/// last chunk is missing.
fn body(
    store: Store,
    session: SessionRow,
    format: Format,
    opening: String,
) -> impl Stream<Item = anyhow::Result<Bytes>> {
    let request_id = REQUEST_ID.try_with(Clone::clone).unwrap_or_default();
    let start = (store, session, Progress::Opening(opening));
    stream::try_unfold(start, move |(store, session, progress)| async move {
        let after = match progress {
            Progress::Opening(text) => {
                let next = (store, session, Progress::Messages(None));
                return Ok(Some((Bytes::from(text), next)));
            }
            Progress::Messages(after) => after,
            Progress::Done => return Ok(None),
        };
        let page = PageRequest { after, order: Order::Asc, limit: PART };
        let rows = store.read_messages(&session, &MessageFilter::default(), &page).await?;
        let mut out = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let first = page.after.is_none() && index == 0;
            format.message(&mut out, &session, row, first)?;
        }
        let progress = match rows.last() {
            Some(last) if rows.len() == PART as usize => {
                Progress::Messages(Some(Position { at: last.occurred_at, key: last.id }))
            }
            _ => {
                out.extend_from_slice(format.closing().as_bytes());
                Progress::Done
            }
        };
        Ok(Some((Bytes::from(out), (store, session, progress))))
    })
    .inspect_err(move |error: &anyhow::Error| {
        tracing::error!(request_id, cause = format_args!("{error:#}"), "transcript broken off");
    })
}

/// What a person wants to know first.
fn header(row: &SessionRow) -> String {
    let mut out = String::new();
    let mut field = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:<15}{}", format!("{name}:"), on_one_line(value));
    };
    field("Session", &row.session_id);
    field("Agent", &row.agent_id);
    field("Source", &row.source);
    if let Some(room) = &row.room_name {
        field("Room", room);
    }
    field("Started", &format!("{} UTC", Timestamp(row.started_at).to_second()));
    field("Last activity", &format!("{} UTC", Timestamp(row.last_activity_at).to_second()));
    field("Messages", &row.message_count.to_string());
    out.push('\n');
    out
}

/// A message in a line, and in further ones that are indented, so that no text can pass for a
/// message of its own.
fn line(row: &MessageRow) -> String {
    let when = Timestamp(row.occurred_at).to_second();
    let mut role = on_one_line(&row.role);
    if let Some(first) = role.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let text = row.message.replace("\r\n", "\n").replace(is_line_break, "\n    ");
    format!("[{when} UTC] {role}: {text}\n")
}

fn on_one_line(text: &str) -> String {
    text.replace(|c: char| is_line_break(c) || c.is_control(), " ")
}

/// All that some program or other takes for the end of a line.
fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{B}' | '\u{C}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A file's name that every system takes, whatever the sender's id holds.
fn disposition(session_id: &str, format: Format) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }
    };
    let name: String = session_id.chars().take(LONGEST_NAME).map(safe).collect();
    let extension = format.extension();
    format!("attachment; filename=\"transcript-{name}.{extension}\"")
}
