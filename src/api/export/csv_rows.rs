//! Rows as CSV: RFC 4180 with a header, in UTF-8, and safe to be opened as a sheet.

use std::borrow::Cow;

use csv::{Terminator, Writer, WriterBuilder};

use super::table::{Cell, Column};
use crate::api::timestamp::Timestamp;

/// What makes a spreadsheet take a cell for a formula, or go on to one behind it. Where the keyboard
/// is Chinese or Japanese, the full-width signs do, too.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// The header.
pub(super) fn header(columns: &[Column], with_cursor: bool) -> anyhow::Result<Vec<u8>> {
    let mut writer = writer(Vec::new());
    let names = columns.iter().map(|column| column.name);
    writer.write_record(names.chain(with_cursor.then_some("cursor")))?;
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

/// A row, after all that is in `out`.
pub(super) fn row(
    out: &mut Writer<Vec<u8>>,
    cells: &[Cell<'_>],
    cursor: Option<&str>,
) -> csv::Result<()> {
    for cell in cells {
        out.write_field(&*field(cell))?;
    }
    if let Some(cursor) = cursor {
        // It may begin with a hyphen. Whoever goes on from it needs it as it is, and no formula is
        // made of a hyphen, letters and digits.
        out.write_field(cursor)?;
    }
    out.write_record(None::<&[u8]>)
}

/// A writer that adds to some bytes.
pub(super) fn writer(out: Vec<u8>) -> Writer<Vec<u8>> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out)
}

fn field<'a>(cell: &'a Cell<'_>) -> Cow<'a, str> {
    match cell {
        Cell::Nothing => "".into(),
        Cell::Text(text) if text.starts_with(FORMULA_STARTS) => format!("'{text}").into(),
        Cell::Text(text) => Cow::Borrowed(text),
        Cell::Time(at) => Timestamp(*at).to_text().into(),
        Cell::Flag(flag) => flag.to_string().into(),
        Cell::Whole(number) => number.to_string().into(),
        Cell::Number(number) => number.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_written_in_linear_time() {
        crate::clock::linear::assert_linear(|text| {
            let mut out = writer(Vec::new());
            row(&mut out, &[Cell::Text(text.into())], None)
        });
    }

    #[test]
    fn what_a_sheet_would_take_for_a_formula_is_text() {
        let written = |text: &str| {
            let mut out = writer(Vec::new());
            row(&mut out, &[Cell::Text(text.into())], None).unwrap();
            String::from_utf8(out.into_inner().unwrap()).unwrap()
        };
        assert_eq!(written("=1+1"), "'=1+1\r\n");
        assert_eq!(written("+49 30 1"), "'+49 30 1\r\n");
        assert_eq!(written("-"), "'-\r\n");
        assert_eq!(written("@SUM(A1)"), "'@SUM(A1)\r\n");
        assert_eq!(written("\t=1"), "'\t=1\r\n");
        assert_eq!(written("\r=1"), "\"'\r=1\"\r\n");
        assert_eq!(written("\n=1"), "\"'\n=1\"\r\n");
        for sign in ["＝", "＋", "－", "＠"] {
            assert_eq!(written(&format!("{sign}1")), format!("'{sign}1\r\n"));
        }
        assert_eq!(written("1=1, \"yes\"\n"), "\"1=1, \"\"yes\"\"\n\"\r\n");
    }
}
