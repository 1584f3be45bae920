//! Writer of transcripts: the head, the messages and the end in each format.

use std::io::Write as _;

use chrono::{DateTime, Utc};

use super::form::{Format, Wanted};
use super::play::{OneVisit, Play};
use super::{markdown, script};
use crate::api::ApiState;
use crate::api::query::zone::Zone;
use crate::api::resources::export::encode::Encoder;
use crate::api::resources::export::table::{Cell, Column, Kind};
use crate::api::resources::export::{encode, table};
use crate::api::resources::visits;
use crate::api::views::message::Message;
use crate::api::views::session::Session;
use crate::domain::Roles;
use crate::domain::json_line::escape_separators_from;
use crate::store::export::ExportedMessage;
use crate::store::sessions::SessionRow;

const LOCAL_TIME: Column = Column { name: "local_time", kind: Kind::Text, optional: false };

/// Columns of an export, and local time.
const WITH_LOCAL_TIME: [Column; table::MESSAGES.len() + 1] = {
    let mut columns = [LOCAL_TIME; table::MESSAGES.len() + 1];
    let (exported, _) = columns.split_at_mut(table::MESSAGES.len());
    exported.copy_from_slice(&table::MESSAGES);
    columns
};

/// Writes a file from its beginning to its end.
pub(super) struct Writer {
    out: Vec<u8>,
    inner: Inner,
    /// Words for the assistant.
    roles: Roles,
}

enum Inner {
    Text(Play),
    Markdown(Play),
    Json { first: bool },
    Jsonl,
    Csv { rows: Encoder, zone: Option<Zone> },
}

impl Wanted {
    /// Begins the file.
    pub(super) fn writer(
        self,
        session: &SessionRow,
        within: Option<(DateTime<Utc>, DateTime<Utc>)>,
        state: &ApiState,
    ) -> anyhow::Result<Writer> {
        let Self { format, zone, names, visit, sheet } = self;
        let longest_silence = visits::longest_silence(session, state);
        let play = Play::new(zone.unwrap_or(Zone::UTC), names, longest_silence);
        let one = visit.zip(within);
        let one = one.map(|(number, (first_at, last_at))| OneVisit { number, first_at, last_at });
        let fields = play.heading(session, one);
        let mut out = Vec::new();
        let inner = match format {
            Format::Txt => {
                script::heading(&mut out, &fields)?;
                Inner::Text(play)
            }
            Format::Md => {
                markdown::heading(&mut out, &fields, &session.agent_id)?;
                Inner::Markdown(play)
            }
            Format::Json => {
                let session = Session::new(session, state.silence, state.clock.now());
                let session = serde_json::to_string(&session)?;
                let visit = visit.map(|number| format!(",\"visit\":{number}")).unwrap_or_default();
                write!(out, "{{\"session\":{session}{visit},\"messages\":[")?;
                Inner::Json { first: true }
            }
            Format::Jsonl => Inner::Jsonl,
            Format::Csv => {
                let columns: &[Column] =
                    if zone.is_some() { &WITH_LOCAL_TIME } else { &table::MESSAGES };
                let rows = Encoder::new(encode::Format::Csv, columns, "messages", false, sheet)?;
                Inner::Csv { rows, zone }
            }
        };
        Ok(Writer { out, inner, roles: state.store.roles().clone() })
    }
}

impl Writer {
    /// Adds a message.
    pub(super) fn message(&mut self, message: &ExportedMessage) -> anyhow::Result<()> {
        let ExportedMessage { session, row } = message;
        let (out, roles) = (&mut self.out, &self.roles);
        let json = || Message::new(row, &session.session_id, &session.agent_id, roles);
        match &mut self.inner {
            Inner::Text(play) => script::message(out, play, row)?,
            Inner::Markdown(play) => markdown::message(out, play, row)?,
            Inner::Json { first } => {
                if !std::mem::take(first) {
                    out.push(b',');
                }
                serde_json::to_writer(out, &json())?;
            }
            Inner::Jsonl => {
                let start = out.len();
                serde_json::to_writer(&mut *out, &json())?;
                escape_separators_from(out, start);
                out.push(b'\n');
            }
            Inner::Csv { rows, zone } => {
                let mut cells = table::message(session, row);
                let local = zone.map(|zone| zone.to_rfc3339(row.occurred_at));
                cells.extend(local.map(|text| Cell::Text(text.into())));
                rows.row(&cells, None)?;
            }
        }
        Ok(())
    }

    /// Takes the bytes that are ready to be sent.
    pub(super) fn take(&mut self) -> anyhow::Result<Vec<u8>> {
        if let Inner::Csv { rows, .. } = &mut self.inner {
            return rows.take();
        }
        Ok(std::mem::take(&mut self.out))
    }

    /// Returns the rest of the file.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        if let Inner::Json { .. } = self.inner {
            self.out.extend_from_slice(b"]}\n");
        }
        self.take()
    }
}
