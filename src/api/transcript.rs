//! `GET /v1/sessions/{session_id}/transcript`: the whole conversation, or one visit of it, as a
//! file: for a person to read, or for a program.

mod body;
mod local_time;
mod markdown;
mod play;
mod script;
mod writer;

use actix_web::http::Method;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpRequest, HttpResponse, web};

use super::export::encode;
use super::export::sheet::Sheet;
use super::openapi::{ForSheets, Selectors};
use super::params::{Params, invalid, path_id};
use super::session::{only, session_key};
use super::watch::Watch;
use super::zone::Zone;
use super::{ApiState, Caller, visits};
use crate::problem::Problem;
use crate::store::export::MessageWalk;
use crate::store::keys::Scope;
use crate::store::messages::MessageFilter;
use body::Body;
use play::{Names, Play};
use writer::{Transcript, Writer};

/// Longest name of a file, without its extension.
const LONGEST_NAME: usize = 80;

const PARAMS: [&str; 10] = [
    "format",
    "tz",
    "visit",
    "user_name",
    "assistant_name",
    "bom",
    "formula_guard",
    "max_cell_chars",
    "agent_id",
    "source",
];

/// What the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = TranscriptFormat, rename_all = "lowercase")]
enum Format {
    /// For a person.
    Txt,
    /// For a person, as Markdown.
    Md,
    /// `{"session": …, "messages": […]}`.
    Json,
    /// A message a line.
    Jsonl,
    /// A message a row, below a header.
    Csv,
}

/// The whole conversation as a file.
///
/// `txt` and `md` are for a person: who spoke, when by local time, the day where it changes, and a
/// line such as `— 47 minutes of silence —` where nobody spoke for longer than a visit lasts. What
/// was said is indented in `txt` and quoted in `md`, and escaped, so that no text can pass for
/// another speaker's. Control characters are shown as pictures of themselves (`␛`).
///
/// `json` is the session and its messages, `jsonl` an object for each message as `/messages` gives
/// it, `csv` has the columns of `/v1/export/messages`, and is written as there.
#[utoipa::path(get, path = "/v1/sessions/{session_id}/transcript", tag = "Conversations",
    params(Selectors, ForSheets,
        ("format" = inline(Option<Format>), Query, description = "What the file is; `txt` by default."),
        ("tz" = Option<String>, Query, description = "The IANA's name of a time zone for `txt`, `md` \
            and `csv`, in any case; UTC by default. `csv` keeps its times in UTC and has a further column \
            `local_time`. Refused with `json` and `jsonl`, whose times are UTC."),
        ("visit" = Option<i64>, Query, minimum = 1, maximum = 1_000_000, description = "Of this visit alone."),
        ("user_name" = Option<String>, Query, max_length = 100,
            description = "What the user is called in `txt` and `md`; `User` by default."),
        ("assistant_name" = Option<String>, Query, max_length = 100,
            description = "What the assistant is called in `txt` and `md`; `Assistant` by default.")),
    responses((status = 200, description = "The file, under a name of its own.", content(
        (String = "text/plain",
            example = "Session:       A80HVD8577_5f3c1a\n\nMonday, 28 September 2026\n\n\
                [16:54:13 +02:00] User: Hello!\n"),
        (String = "text/markdown",
            example = "# Conversation with A80HVD8577\n\n- **Session:** A80HVD8577\\_5f3c1a\n\n\
                ## Monday, 28 September 2026\n\n**User** · 16:54:13 +02:00\n\n> Hello!\n\n"),
        (Transcript = "application/json"),
        (String = "application/x-ndjson", example = "{\"role\":\"user\",\"message\":\"Hello!\"}\n"),
        (String = "text/csv", example = "role,message,timestamp,local_time\r\n\
                user,Hello!,2026-09-28T14:54:13.000000Z,2026-09-28T16:54:13.000000+02:00\r\n")))),
    security(("key" = ["read"])))]
pub(super) async fn show(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Read)?;
    let params = Params::parse(&req, &PARAMS, &[])?;
    let wanted = Wanted::read(&params)?;
    let session_id = path_id(&req)?;
    let session =
        only(state.store.find_session(session_key(&session_id, &params, &caller)).await?)?;
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
    // The first part is read before it is said that all is well.
    let body = Body::begin(walk, writer, watch, &state.held, caller.key_id()).await?;
    Ok(response.streaming(body.into_stream()))
}

impl Format {
    const ALL: [(&'static str, Self); 5] = [
        ("txt", Self::Txt),
        ("md", Self::Md),
        ("json", Self::Json),
        ("jsonl", Self::Jsonl),
        ("csv", Self::Csv),
    ];

    fn content_type(self) -> &'static str {
        match self {
            Self::Txt => "text/plain; charset=utf-8",
            Self::Md => "text/markdown; charset=utf-8",
            Self::Json => "application/json",
            Self::Jsonl => encode::Format::Jsonl.content_type(),
            Self::Csv => encode::Format::Csv.content_type(),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Json => "json",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// A file as it was asked for.
struct Wanted {
    format: Format,
    zone: Option<Zone>,
    names: Names,
    visit: Option<i64>,
    sheet: Sheet,
}

impl Wanted {
    /// What does not go with the format is refused: a file whose times were not those that somebody
    /// asked for would be read wrongly.
    fn read(params: &Params) -> Result<Self, Problem> {
        let format = params.choice("format", &Format::ALL)?.unwrap_or(Format::Txt);
        let zone = Zone::wanted(params)?;
        if zone.is_some() && matches!(format, Format::Json | Format::Jsonl) {
            let what =
                "is for txt, md and csv; the times of json and jsonl are UTC, so leave it out";
            return Err(invalid("tz", what));
        }
        let names = Names::wanted(params)?;
        if let Some(name) = names.given().filter(|_| !matches!(format, Format::Txt | Format::Md)) {
            return Err(invalid(name, "is for txt and md; the other formats tell the role"));
        }
        let sheet = Sheet::wanted(params, format == Format::Csv)?;
        Ok(Self { format, zone, names, visit: visits::wanted(params)?, sheet })
    }

    /// A name that every system takes, whatever the sender's id holds.
    fn file_name(&self, session_id: &str) -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }
        };
        let name: String = session_id.chars().take(LONGEST_NAME).map(safe).collect();
        let visit = self.visit.map(|number| format!("-visit-{number}")).unwrap_or_default();
        let extension = self.format.extension();
        format!("attachment; filename=\"transcript-{name}{visit}.{extension}\"")
    }
}
