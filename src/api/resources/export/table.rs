//! Tables: their columns with kinds, and the cells of rows.

use std::borrow::Cow;
use std::io::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::api::views::timestamp::Timestamp;
use crate::store::messages::MessageRow;
use crate::store::sessions::SessionRow;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Name, as in the API's JSON.
    pub(crate) name: &'static str,
    /// Kind of its cells.
    pub(crate) kind: Kind,
    /// True if a cell may be empty.
    pub(crate) optional: bool,
}

/// Kind of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// UTF-8.
    Text,
    /// Microseconds, UTC.
    Time,
    /// Yes or no.
    Flag,
    /// A whole number of 64 bits.
    Whole,
    /// A floating-point number of 64 bits.
    Number,
}

/// Cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Nothing,
    Text(Cow<'a, str>),
    Time(DateTime<Utc>),
    Flag(bool),
    Whole(i64),
    Number(f64),
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: false }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, optional: true }
}

/// Columns of messages.
pub(crate) const MESSAGES: [Column; 11] = [
    always("id", Kind::Text),
    always("session_id", Kind::Text),
    always("agent_id", Kind::Text),
    always("source", Kind::Text),
    always("role", Kind::Text),
    always("message", Kind::Text),
    always("timestamp", Kind::Time),
    maybe("sent_at", Kind::Time),
    always("received_at", Kind::Time),
    always("altered", Kind::Flag),
    always("undated", Kind::Flag),
];

/// Columns of sessions.
pub(crate) const SESSIONS: [Column; 16] = [
    always("id", Kind::Text),
    always("session_id", Kind::Text),
    always("agent_id", Kind::Text),
    always("source", Kind::Text),
    maybe("room_name", Kind::Text),
    always("status", Kind::Text),
    maybe("end_reason", Kind::Text),
    maybe("opened_by", Kind::Text),
    always("started_at", Kind::Time),
    always("last_activity_at", Kind::Time),
    maybe("ended_at", Kind::Time),
    always("duration_seconds", Kind::Number),
    maybe("participant_count", Kind::Whole),
    always("message_count", Kind::Whole),
    always("user_message_count", Kind::Whole),
    always("assistant_message_count", Kind::Whole),
];

/// Returns a message's cells, in the order of [`MESSAGES`].
pub(crate) fn message<'a>(session: &'a SessionRow, row: &'a MessageRow) -> Vec<Cell<'a>> {
    vec![
        Cell::Text(row.id.to_string().into()),
        text(&session.session_id),
        text(&session.agent_id),
        text(&session.source),
        text(&row.role),
        text(&row.message),
        Cell::Time(row.occurred_at),
        row.sent_at.map_or(Cell::Nothing, Cell::Time),
        Cell::Time(row.received_at),
        Cell::Flag(row.altered),
        Cell::Flag(row.undated),
    ]
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.into())
}

/// Returns the cells of a row in JSON; `None` if it does not fit the columns.
pub(crate) fn from_json<'a>(columns: &[Column], row: &'a Value) -> Option<Vec<Cell<'a>>> {
    columns.iter().map(|column| cell_from_json(*column, row.get(column.name)?)).collect()
}

fn cell_from_json(column: Column, value: &Value) -> Option<Cell<'_>> {
    if value.is_null() {
        return column.optional.then_some(Cell::Nothing);
    }
    Some(match column.kind {
        Kind::Text => text(value.as_str()?),
        Kind::Time => Cell::Time(value.as_str()?.parse().ok()?),
        Kind::Flag => Cell::Flag(value.as_bool()?),
        Kind::Whole => Cell::Whole(value.as_i64()?),
        Kind::Number => Cell::Number(value.as_f64()?),
    })
}

/// Writes a row as a JSON object.
pub(crate) fn write_json(
    out: &mut Vec<u8>,
    columns: &[Column],
    cells: &[Cell<'_>],
) -> anyhow::Result<()> {
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let separator = if index == 0 { '{' } else { ',' };
        write!(out, "{separator}\"{}\":", column.name)?;
        match cell {
            Cell::Nothing => out.extend_from_slice(b"null"),
            Cell::Text(text) => write_value(out, text)?,
            Cell::Time(at) => write_value(out, &Timestamp(*at))?,
            Cell::Flag(flag) => write_value(out, flag)?,
            Cell::Whole(number) => write_value(out, number)?,
            Cell::Number(number) => write_value(out, number)?,
        }
    }
    out.push(b'}');
    Ok(())
}

fn write_value(out: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    serde_json::to_writer(out, value)
}
