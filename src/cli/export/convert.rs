//! The rows that have come → the file that is wanted.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::FileFormat;
use super::spool::{Spool, beside};
use crate::api::export::encode::{Encoder, Format};
use crate::api::export::sheet::Sheet;
use crate::api::export::table::{self, Column};

/// Rows that are written at a time.
const ROWS: usize = 1_000;

/// Makes the output of the spool, under its name only once it is whole and durable.
pub(super) fn finish(
    spool: Spool,
    format: FileFormat,
    sheet: Sheet,
    name: &str,
    output: &Path,
) -> anyhow::Result<()> {
    let format = match format {
        FileFormat::Jsonl => return spool.become_output(output),
        FileFormat::Csv => Format::Csv,
        FileFormat::Parquet => Format::Parquet,
    };
    let columns: &'static [Column] =
        if name == "sessions" { &table::SESSIONS } else { &table::MESSAGES };
    let new = beside(output, ".new");
    let made = convert(spool.path(), &new, (format, sheet), columns, name)
        .and_then(|()| Ok(fs::rename(&new, output)?))
        .with_context(|| format!("cannot write {}", output.display()));
    if made.is_err() {
        // The rows are still there; a --resume makes the file of them.
        let _ = fs::remove_file(&new);
    }
    made?;
    spool.remove()
}

fn convert(
    rows: &Path,
    new: &Path,
    (format, sheet): (Format, Sheet),
    columns: &'static [Column],
    name: &str,
) -> anyhow::Result<()> {
    let (mut rows, mut out) = (BufReader::new(File::open(rows)?), File::create(new)?);
    let mut encoder = Encoder::new(format, columns, name, false, sheet)?;
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if rows.read_line(&mut line)? == 0 {
            break;
        }
        let row: Value = serde_json::from_str(&line)?;
        let cells = table::from_json(columns, &row).with_context(|| {
            format!("row {number} is not as this version knows them: use that of the service")
        })?;
        encoder.row(&cells, None)?;
        if number % ROWS == 0 {
            out.write_all(&encoder.take()?)?;
        }
    }
    out.write_all(&encoder.finish()?)?;
    Ok(out.sync_data()?)
}
