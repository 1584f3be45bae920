//! Rows as CSV: RFC 4180 with a header, in UTF-8.

use std::borrow::Cow;

use super::sheet::Sheet;
use super::table::{Cell, Column};
use crate::api::views::timestamp::Timestamp;
use crate::domain::json_line::has_separator;

/// U+FEFF in UTF-8.
const BOM: &[u8] = "\u{FEFF}".as_bytes();
/// Beside line breaks and commas: what other readers than those of RFC 4180 split cells or lines at.
const QUOTED: [u8; 9] = *b"\",;\t\r\n\x0B\x0C\x1C";

/// Rows that are written one after the other.
#[derive(Debug)]
pub(super) struct CsvRows {
    out: Vec<u8>,
    sheet: Sheet,
}

impl CsvRows {
    /// Begins with a header.
    pub(super) fn new(columns: &[Column], with_cursor: bool, sheet: Sheet) -> Self {
        let mut out = if sheet.bom { BOM.to_vec() } else { Vec::new() };
        for (index, column) in columns.iter().enumerate() {
            separate(&mut out, index);
            out.extend_from_slice(column.name.as_bytes());
        }
        if with_cursor {
            out.extend_from_slice(b",cursor");
        }
        out.extend_from_slice(b"\r\n");
        Self { out, sheet }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: &[Cell<'_>], cursor: Option<&str>) {
        for (index, cell) in cells.iter().enumerate() {
            separate(&mut self.out, index);
            write_cell(&mut self.out, &text_of(cell, self.sheet));
        }
        if let Some(cursor) = cursor {
            // It may begin with a hyphen. A client that continues needs it unchanged, and no formula
            // is made of a hyphen, letters and digits.
            self.out.push(b',');
            self.out.extend_from_slice(cursor.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Takes the bytes that were written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn text_of<'a>(cell: &'a Cell<'_>, sheet: Sheet) -> Cow<'a, str> {
    match cell {
        Cell::Nothing => "".into(),
        Cell::Text(text) => sheet.fit(text),
        Cell::Time(at) => Timestamp(*at).to_text().into(),
        Cell::Flag(flag) => flag.to_string().into(),
        Cell::Whole(number) => number.to_string().into(),
        Cell::Number(number) => number.to_string().into(),
    }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

fn write_cell(out: &mut Vec<u8>, text: &str) {
    if !text.bytes().any(is_quoted) && !has_separator(text) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'"');
}

fn is_quoted(byte: u8) -> bool {
    QUOTED.contains(&byte) || matches!(byte, 0x1D | 0x1E)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(texts: &[&str], sheet: Sheet) -> String {
        let mut rows = CsvRows { out: Vec::new(), sheet };
        let cells: Vec<_> = texts.iter().map(|text| Cell::Text((*text).into())).collect();
        rows.row(&cells, None);
        String::from_utf8(rows.take()).unwrap()
    }

    #[test]
    fn a_cell_is_written_in_linear_time() {
        crate::clock::linear::assert_linear(|text| written(&[text], Sheet::default()));
    }

    #[test]
    fn cells_that_some_reader_would_split_are_quoted() {
        for (text, cell) in [
            ("plain – ‘text’ é", "plain – ‘text’ é"),
            ("1=1, \"yes\"\n", "\"1=1, \"\"yes\"\"\n\""),
            ("a;b", "\"a;b\""),
            ("a\tb", "\"a\tb\""),
            ("a\u{2028}b", "\"a\u{2028}b\""),
            ("a\u{85}b", "\"a\u{85}b\""),
            ("a\u{b}b", "\"a\u{b}b\""),
            ("a\u{1e}b", "\"a\u{1e}b\""),
            ("a;=1", "\"a;'=1\""),
            ("\r=1", "\"'\r'=1\""),
            ("=1", "'=1"),
        ] {
            assert_eq!(written(&[text, "x"], Sheet::default()), format!("{cell},x\r\n"));
        }
    }

    #[test]
    fn a_file_begins_with_its_header_behind_the_mark_where_that_is_wanted() {
        let columns = &super::super::table::MESSAGES[4..6];
        let sheet = Sheet { bom: true, ..Sheet::default() };
        assert_eq!(CsvRows::new(columns, false, Sheet::default()).take(), b"role,message\r\n");
        let marked = CsvRows::new(columns, true, sheet).take();
        assert_eq!(marked, "\u{FEFF}role,message,cursor\r\n".as_bytes());
    }

    proptest! {
        #[test]
        fn without_the_guard_every_cell_is_read_back_as_it_was(
            cells in proptest::collection::vec("([;,\"'=\r\n\t\u{2028}a ]|\\PC){0,12}", 2..5)
        ) {
            let sheet = Sheet { formula_guard: false, ..Sheet::default() };
            let texts: Vec<_> = cells.iter().map(String::as_str).collect();
            let text = written(&texts, sheet);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(rows.len(), 1);
            prop_assert_eq!(rows[0].iter().collect::<Vec<_>>(), texts);
        }

        #[test]
        fn with_the_guard_no_cell_is_a_formula_wherever_a_sheet_splits(
            text in "([;,\"=+@\r\n\t -]|[a＝]){0,16}"
        ) {
            let line = written(&["id", &text, "x"], Sheet::default());
            for delimiter in [b';', b'\t', b','] {
                let mut reader = csv::ReaderBuilder::new()
                    .has_headers(false).flexible(true).delimiter(delimiter)
                    .from_reader(line.as_bytes());
                for row in reader.records() {
                    for cell in &row.unwrap() {
                        let cell = cell.trim_matches(['"', ' ']);
                        prop_assert!(!cell.starts_with(['=', '+', '-', '@', '＝']), "{line:?} {cell:?}");
                    }
                }
            }
        }
    }
}
