//! `GET /v1/export/messages` and `GET /v1/export/sessions`: everything that the filters let
//! through, as one file.

mod body;
mod csv_rows;
pub(crate) mod encode;
mod pack;
mod parquet_rows;
pub(crate) mod query;
pub(crate) mod seats;
pub(crate) mod sheet;
pub(crate) mod table;

use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use crate::api::auth::watch::Watch;
use crate::api::query::cursor::Fingerprint;
use crate::api::query::invalid::invalid;
use crate::api::query::parameters::InZone;
use crate::api::query::read::{And, Query, read_filters};
use crate::api::resources::export::query::{FileQuery, MessageExportQuery, SessionExportQuery};
use crate::api::resources::export::sheet::{Sheet, SheetQuery};
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors, InvalidCursor};
use crate::store::Position;
use crate::store::export::{MessageWalk, SessionWalk, following};
use crate::store::keys::Scope;
use body::{Body, RowKey, Rows, Walk};
use encode::{Encoder, Format};
use pack::{Packed, Packer};

/// Form of an export's file.
type Form = And<FileQuery, SheetQuery>;

/// Everything that was said.
#[utoipa::path(get, path = "/v1/export/messages", tag = "Export",
    params(FileQuery, SheetQuery, InZone, MessageExportQuery),
    responses((status = 200, description = "A row a message.", content(
        (String = "application/x-ndjson", example = "{\"role\":\"user\",\"message\":\"Hello\"}\n"),
        (String = "text/csv", example = "role,message\r\nuser,Hello\r\n"),
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/gzip"),
        (Vec<u8> = "application/zstd"))),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["export"])))]
pub(crate) async fn messages(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Export)?;
    let (form, And(_, query), print) =
        read_export::<And<InZone, MessageExportQuery>>(&req, &caller)?;
    let (sessions, filter) = query.filters(|agents| caller.visible_of(agents));
    let start = position(&form, &print, &state)
        .await?
        .map(|Position { at, key: RowKey { session, message } }| {
            let key = message.ok_or_else(|| invalid("cursor", "is one of sessions"))?;
            Ok::<_, Problem>((session, Position { at, key }))
        })
        .transpose()?;
    let walk = Walk::Messages(MessageWalk::new(state.store.clone(), sessions, filter, start));
    let rows = Rows::new("messages", &table::MESSAGES, print, state.silence, state.clock.now());
    answer(&req, &caller, &form, &state, walk, rows).await
}

/// Every conversation, without what was said.
#[utoipa::path(get, path = "/v1/export/sessions", tag = "Export",
    params(FileQuery, SheetQuery, InZone, SessionExportQuery),
    responses((status = 200, description = "A row a session.", content(
        (String = "application/x-ndjson", example = "{\"session_id\":\"A80HVD8577_5f3c1a\",\"message_count\":8}\n"),
        (String = "text/csv", example = "session_id,message_count\r\nA80HVD8577_5f3c1a,8\r\n"),
        (Vec<u8> = "application/vnd.apache.parquet"),
        (Vec<u8> = "application/gzip"),
        (Vec<u8> = "application/zstd"))),
        Errors<(ApiErrors, InvalidCursor)>),
    security(("key" = ["export"])))]
pub(crate) async fn sessions(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Export)?;
    let (form, And(_, query), print) =
        read_export::<And<InZone, SessionExportQuery>>(&req, &caller)?;
    let sessions = query.filter(&state, |agents| caller.visible_of(agents));
    let first = position(&form, &print, &state)
        .await?
        .map_or(Some(Uuid::nil()), |position| following(position.key.session))
        .ok_or_else(|| invalid("cursor", "is at the end of everything"))?;
    let walk = Walk::Sessions(SessionWalk::new(state.store.clone(), sessions, first));
    let rows = Rows::new("sessions", &table::SESSIONS, print, state.silence, state.clock.now());
    answer(&req, &caller, &form, &state, walk, rows).await
}

/// Begins to send.
async fn answer(
    req: &HttpRequest,
    caller: &Caller,
    And(file, sheet): &Form,
    state: &ApiState,
    walk: Walk,
    mut rows: Rows,
) -> Result<HttpResponse, Problem> {
    let (format, with_cursor) = (file.format(), file.has_cursors());
    let sheet = Sheet::of_query(sheet, format == Format::Csv)?;
    let packed = if format == Format::Parquet {
        if with_cursor {
            return Err(invalid("with_cursor", "is for jsonl and csv"));
        }
        Packed::inside(file)?
    } else {
        Packed::of_request(req, file)
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
    And(file, _): &Form,
    print: &Fingerprint,
    state: &ApiState,
) -> Result<Option<Position<RowKey>>, Problem> {
    match &file.cursor {
        Some(text) => Ok(Some(state.cursors.open(print, text).await?)),
        None => Ok(None),
    }
}

/// Reads the query of an export: its form, its filters, and the checksum of the filters, which its
/// cursors belong to in any format.
fn read_export<F: Query>(
    req: &HttpRequest,
    caller: &Caller,
) -> Result<(Form, F, Fingerprint), Problem> {
    let (query, form, filters) = read_filters::<F, Form>(req)?;
    let print = Fingerprint::new(req.uri().path());
    let print = filters.iter().fold(print, |print, (name, value)| print.and(name).and(value));
    Ok((form, query, print.seen_by(caller.agents())))
}
