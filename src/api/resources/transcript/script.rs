//! A transcript as plain text. A message begins after its speaker and continues indented, so that only
//! this module writes at the beginning of a line.

use std::io;
use std::io::Write as _;

use super::play::{Play, lines};
use crate::store::messages::MessageRow;

/// Writes the heading of the file.
pub(super) fn heading(out: &mut Vec<u8>, fields: &[(&str, String)]) -> io::Result<()> {
    for (name, value) in fields {
        writeln!(out, "{:<15}{value}", format!("{name}:"))?;
    }
    Ok(())
}

/// A message.
pub(super) fn message(out: &mut Vec<u8>, play: &mut Play, row: &MessageRow) -> io::Result<()> {
    let between = play.between(row.occurred_at);
    for line in [&between.silence, &between.day].into_iter().flatten() {
        write!(out, "\n{line}\n")?;
    }
    if between.silence.is_some() || between.day.is_some() {
        out.push(b'\n');
    }
    let when = play.zone.time_of_day(row.occurred_at);
    write!(out, "[{when}] {}:", play.names.of(&row.role))?;
    for (index, line) in lines(&row.message).enumerate() {
        let separator = match (index, line.is_empty()) {
            (0, _) => " ",
            (_, true) => "\n",
            (_, false) => "\n    ",
        };
        write!(out, "{separator}{line}")?;
    }
    out.push(b'\n');
    Ok(())
}
