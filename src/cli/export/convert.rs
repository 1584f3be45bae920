//! Conversion of the received rows to the output's format.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use super::spool::{Spool, beside};
use crate::api::resources::export::encode::{Encoder, Format};
use crate::api::resources::export::sheet::Sheet;
use crate::api::resources::export::table::{self, Column};

/// Rows between two writes.
const ROWS: usize = 1_000;

/// Format of the file.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum FileFormat {
    /// One JSON object per line
    #[default]
    Jsonl,
    /// CSV (RFC 4180) with a header; an apostrophe precedes texts that a spreadsheet reads as
    /// formulas, unless --no-formula-guard is set
    Csv,
    /// Apache Parquet, compressed with zstd
    Parquet,
}

/// Writes the output to another file, and renames it when it is complete and durable.
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
    let written = convert(spool.path(), &new, (format, sheet), columns, name)
        .and_then(|()| Ok(fs::rename(&new, output)?))
        .with_context(|| format!("cannot write {}", output.display()));
    if written.is_err() {
        // The rows are still in the spool, from which --resume can write the file.
        let _ = fs::remove_file(&new);
    }
    written?;
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
            format!("row {number} has an unknown format: use the same version as the service")
        })?;
        encoder.row(&cells, None)?;
        if number % ROWS == 0 {
            out.write_all(&encoder.take()?)?;
        }
    }
    out.write_all(&encoder.finish()?)?;
    Ok(out.sync_data()?)
}
