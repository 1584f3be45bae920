//! Encoding of rows in the requested format.

use super::csv_rows::CsvRows;
use super::parquet_rows::ParquetRows;
use super::sheet::Sheet;
use super::table::{Cell, Column, write_json};
use crate::domain::json_line::escape_separators_from;

/// Format of a file of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, utoipa::ToSchema)]
#[schema(as = ExportFormat, rename_all = "lowercase")]
pub(crate) enum Format {
    /// A JSON object a line.
    Jsonl,
    /// RFC 4180, with an apostrophe before what a spreadsheet would take for a formula.
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All formats with their names.
    pub(crate) const ALL: [(&'static str, Self); 3] =
        [("jsonl", Self::Jsonl), ("csv", Self::Csv), ("parquet", Self::Parquet)];

    /// Returns the media type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Jsonl => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Returns the extension of files.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Encoder of rows. Its memory is bounded: one row group of Parquet, and the bytes not yet taken.
pub(crate) struct Encoder {
    columns: &'static [Column],
    inner: Inner,
}

enum Inner {
    Jsonl(Vec<u8>),
    Csv(CsvRows),
    Parquet(Box<ParquetRows>),
}

impl Encoder {
    /// Begins a file of rows of some columns, which together are called `name`. `sheet` is for CSV
    /// alone.
    pub(crate) fn new(
        format: Format,
        columns: &'static [Column],
        name: &str,
        with_cursor: bool,
        sheet: Sheet,
    ) -> anyhow::Result<Self> {
        let inner = match format {
            Format::Jsonl => Inner::Jsonl(Vec::new()),
            Format::Csv => Inner::Csv(CsvRows::new(columns, with_cursor, sheet)),
            Format::Parquet => Inner::Parquet(Box::new(ParquetRows::new(columns, name)?)),
        };
        Ok(Self { columns, inner })
    }

    /// Adds a row, with the cursor of what follows it where that is wanted. Parquet has no place
    /// for one.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>], cursor: Option<&str>) -> anyhow::Result<()> {
        match &mut self.inner {
            Inner::Jsonl(out) => {
                let start = out.len();
                write_json(out, self.columns, cells)?;
                escape_separators_from(out, start);
                end_line(out, cursor);
            }
            Inner::Csv(rows) => rows.row(cells, cursor),
            Inner::Parquet(file) => file.row(cells)?,
        }
        Ok(())
    }

    /// Takes the bytes that are ready to be sent.
    pub(crate) fn take(&mut self) -> anyhow::Result<Vec<u8>> {
        match &mut self.inner {
            Inner::Jsonl(out) => Ok(std::mem::take(out)),
            Inner::Csv(rows) => Ok(rows.take()),
            Inner::Parquet(file) => file.take(),
        }
    }

    /// The rest, to the end of the file.
    pub(crate) fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        match self.inner {
            Inner::Parquet(file) => file.finish(),
            _ => self.take(),
        }
    }
}

/// Ends the JSON object at the end of `out` with a cursor, as its last member.
fn end_line(out: &mut Vec<u8>, cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        out.pop();
        // Nothing in a cursor needs to be escaped.
        out.extend_from_slice(b",\"cursor\":\"");
        out.extend_from_slice(cursor.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.push(b'\n');
}
