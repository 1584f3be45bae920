//! `GET /v1/export/messages` and `GET /v1/export/sessions`: everything that the filters let
//! through, as one file.

mod body;
mod csv_rows;
pub(crate) mod encode;
mod pack;
mod parquet_rows;
pub(crate) mod sheet;
pub(crate) mod table;

use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::cursor::Fingerprint;
use super::openapi::{ForSheets, InZone, Time};
use super::params::{Params, invalid};
use super::sessions::{filter, visible};
use super::watch::Watch;
use super::{ApiState, Caller};
use crate::domain::session::Status;
use crate::gate::{KeyId, Share, Shares, Short};
use crate::problem::{Code, Problem};
use crate::store::Position;
use crate::store::export::{ExportFilter, MessageWalk, SessionWalk, following};
use crate::store::keys::Scope;
use crate::store::messages::MessageFilter;
use crate::store::sessions::SessionFilter;
use body::{Body, RowKey, Rows, Walk};
use encode::{Encoder, Format};
use pack::{Packed, Packer, Packing};
use sheet::Sheet;

/// Exports under way at once. Each keeps up to 60 MiB, half a processor and one connection of the
/// ten that all readers share.
const MOST_EXPORTS: usize = 4;
/// When to come back where there are as many, in seconds.
const FULL_RETRY_SECONDS: u32 = 15;

/// What every export can be asked, beside its filters. These may change where one is gone on with.
const FORM: [&str; 7] =
    ["format", "compression", "with_cursor", "cursor", "bom", "formula_guard", "max_cell_chars"];
const MESSAGES: [&str; 14] = [
    "format",
    "compression",
    "with_cursor",
    "cursor",
    "bom",
    "formula_guard",
    "max_cell_chars",
    "tz",
    "agent_id",
    "source",
    "role",
    "after",
    "before",
    "session_id",
];
const SESSIONS: [&str; 18] = [
    "format",
    "compression",
    "with_cursor",
    "cursor",
    "bom",
    "formula_guard",
    "max_cell_chars",
    "tz",
    "agent_id",
    "source",
    "room_name",
    "status",
    "opened_by",
    "started_after",
    "started_before",
    "active_after",
    "active_before",
    "min_messages",
];

/// The exports that are under way. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exports(Shares<KeyId>);

impl Default for Exports {
    fn default() -> Self {
        Self(Shares::new(MOST_EXPORTS))
    }
}

impl Exports {
    /// A seat; a key alone gets half of them.
    fn seat(&self, key: KeyId) -> Result<Share<KeyId>, Problem> {
        self.0.take(key, 1).map_err(|short| {
            let problem = match short {
                Short::Own => Problem::new(
                    Code::RateLimited,
                    "This key has as many exports under way as one key may. Try again when one is \
                     done.",
                ),
                Short::All => Problem::new(
                    Code::Unavailable,
                    format!("{MOST_EXPORTS} exports are under way; try again when one is done."),
                ),
            };
            problem.retry_after(FULL_RETRY_SECONDS)
        })
    }
}

/// Everything that was said.
#[utoipa::path(get, path = "/v1/export/messages", tag = "Export",
    params(ForSheets, InZone,
        ("format" = inline(Option<Format>), Query, description = "What the file is; `jsonl` by default."),
        ("compression" = inline(Option<Packing>), Query, example = "none", description = "How jsonl \
            and csv are packed. Parquet is packed inside, and takes `none` alone."),
        ("with_cursor" = Option<bool>, Query, example = false, description = "With a cursor in each \
            row of jsonl and csv, to go on from. Parquet has none, and takes `false` alone."),
        ("cursor" = Option<String>, Query, description = "Go on after the row with this cursor."),
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("source" = Option<String>, Query, description = "Delivered by this source."),
        ("role" = Option<String>, Query, description = "Said by this role alone."),
        ("after" = Option<Time>, Query, description = "Later than this."),
        ("before" = Option<Time>, Query, description = "Earlier than this."),
        ("session_id" = Option<String>, Query, description = "Of this session alone.")),
    responses((status = 200, description = "A row a message.", content(
        (String = "application/x-ndjson", example = "{\"role\":\"user\",\"message\":\"Hello\"}\n"),
        (String = "text/csv", example = "role,message\r\nuser,Hello\r\n"),
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/gzip"),
        (Vec<u8> = "application/zstd")))),
    security(("key" = ["export"])))]
pub(super) async fn messages(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Export)?;
    let params = Params::parse(&req, &MESSAGES, &["agent_id"])?;
    let print = fingerprint(&req, &params).seen_by(caller.agents());
    let text = |name| params.text(name).map(str::to_owned);
    let sessions = ExportFilter {
        sessions: SessionFilter {
            agents: visible(&caller, params.texts("agent_id")),
            source: text("source"),
            ..SessionFilter::default()
        },
        session_id: text("session_id"),
        spoken_after: None,
    };
    let filter = MessageFilter {
        role: text("role"),
        after: params.time("after")?,
        before: params.time("before")?,
        within: None,
    };
    let start = position(&params, &print, &state)
        .await?
        .map(|Position { at, key: RowKey { session, message } }| {
            let key = message.ok_or_else(|| invalid("cursor", "is one of sessions"))?;
            Ok::<_, Problem>((session, Position { at, key }))
        })
        .transpose()?;
    let walk = Walk::Messages(MessageWalk::new(state.store.clone(), sessions, filter, start));
    let rows = Rows::new("messages", &table::MESSAGES, print, state.silence, state.clock.now());
    answer(&req, &caller, &params, &state, walk, rows).await
}

/// Every conversation, without what was said.
#[utoipa::path(get, path = "/v1/export/sessions", tag = "Export",
    params(ForSheets, InZone,
        ("format" = inline(Option<Format>), Query, description = "What the file is; `jsonl` by default."),
        ("compression" = inline(Option<Packing>), Query, example = "none", description = "How jsonl \
            and csv are packed. Parquet is packed inside, and takes `none` alone."),
        ("with_cursor" = Option<bool>, Query, example = false, description = "With a cursor in each \
            row of jsonl and csv, to go on from. Parquet has none, and takes `false` alone."),
        ("cursor" = Option<String>, Query, description = "Go on after the row with this cursor."),
        ("agent_id" = Vec<String>, Query, description = "Of these agents alone; may repeat."),
        ("source" = Option<String>, Query, description = "Delivered by this source."),
        ("room_name" = Option<String>, Query, description = "In this room."),
        ("status" = inline(Option<Status>), Query, description = "Where they stand now."),
        ("opened_by" = Option<String>, Query, description = "What they were first known by."),
        ("started_after" = Option<Time>, Query, description = "Started later than this."),
        ("started_before" = Option<Time>, Query, description = "Started earlier than this."),
        ("active_after" = Option<Time>, Query, description = "Last active later than this."),
        ("active_before" = Option<Time>, Query, description = "Last active earlier than this."),
        ("min_messages" = Option<i64>, Query, minimum = 0, description = "With so many messages or more.")),
    responses((status = 200, description = "A row a session.", content(
        (String = "application/x-ndjson", example = "{\"session_id\":\"A80HVD8577_5f3c1a\",\"message_count\":8}\n"),
        (String = "text/csv", example = "session_id,message_count\r\nA80HVD8577_5f3c1a,8\r\n"),
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/gzip"),
        (Vec<u8> = "application/zstd")))),
    security(("key" = ["export"])))]
pub(super) async fn sessions(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Export)?;
    let params = Params::parse(&req, &SESSIONS, &["agent_id"])?;
    let print = fingerprint(&req, &params).seen_by(caller.agents());
    let agents = visible(&caller, params.texts("agent_id"));
    let sessions = filter(&params, &state, agents)?;
    let first = position(&params, &print, &state)
        .await?
        .map_or(Some(Uuid::nil()), |position| following(position.key.session))
        .ok_or_else(|| invalid("cursor", "is at the end of everything"))?;
    let sessions = ExportFilter { sessions, ..ExportFilter::default() };
    let walk = Walk::Sessions(SessionWalk::new(state.store.clone(), sessions, first));
    let rows = Rows::new("sessions", &table::SESSIONS, print, state.silence, state.clock.now());
    answer(&req, &caller, &params, &state, walk, rows).await
}

/// Begins to send.
async fn answer(
    req: &HttpRequest,
    caller: &Caller,
    params: &Params,
    state: &ApiState,
    walk: Walk,
    mut rows: Rows,
) -> Result<HttpResponse, Problem> {
    let format = params.choice("format", &Format::ALL)?.unwrap_or(Format::Jsonl);
    let with_cursor = params.flag("with_cursor")?.unwrap_or(false);
    let sheet = Sheet::wanted(params, format == Format::Csv)?;
    let packed = if format == Format::Parquet {
        if with_cursor {
            return Err(invalid("with_cursor", "is for jsonl and csv"));
        }
        Packed::refused(params)?
    } else {
        Packed::wanted(req, params)?
    };
    let mut response = head(format, packed, &rows);
    if req.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let seat = state.exports.seat(caller.key_id())?;
    let encoder = Encoder::new(format, rows.columns, rows.name, with_cursor, sheet);
    let encoder = encoder.map_err(Problem::internal)?;
    let squeeze = Packer::new(packed.packing).map_err(Problem::internal)?;
    let watch = Watch::new(caller, state, &[Scope::Export]);
    if with_cursor {
        rows.sealer = Some(state.cursors.sealer().await?);
    }
    // The first page is read before it is said that all is well.
    let body = Body::begin(walk, rows, encoder, squeeze, watch, seat).await?;
    Ok(response.streaming(body.into_stream()))
}

fn head(format: Format, packed: Packed, rows: &Rows) -> actix_web::HttpResponseBuilder {
    let (content_type, packing) = packed.outer().unwrap_or_else(|| (format.content_type(), ""));
    let (name, when, extension) =
        (rows.name, rows.now.format("%Y-%m-%dT%H%M%SZ"), format.extension());
    let disposition = format!("attachment; filename=\"{name}-{when}.{extension}{packing}\"");
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, "Accept-Encoding"));
    if let Some(encoding) = packed.encoding() {
        response.insert_header((CONTENT_ENCODING, encoding));
    }
    response
}

async fn position(
    params: &Params,
    print: &Fingerprint,
    state: &ApiState,
) -> Result<Option<Position<RowKey>>, Problem> {
    match params.text("cursor") {
        Some(text) => Ok(Some(state.cursors.open(print, text).await?)),
        None => Ok(None),
    }
}

/// What a cursor of this export belongs to: its filters, in whatever format.
fn fingerprint(req: &HttpRequest, params: &Params) -> Fingerprint {
    let mut filters: Vec<_> =
        params.pairs().iter().filter(|(name, _)| !FORM.contains(name)).collect();
    filters.sort_unstable();
    let print = Fingerprint::new(req.uri().path());
    filters.into_iter().fold(print, |print, (name, value)| print.and(name).and(value))
}
