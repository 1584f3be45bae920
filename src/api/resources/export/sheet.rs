//! CSV for spreadsheets: no cell is a formula, and none is too long.

use std::borrow::Cow;

use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::query::invalid::invalid;
use crate::api::query::number::Whole;
use crate::problem::Problem;

/// Begins a formula. Where the keyboard is Chinese or Japanese, the full-width signs do, too.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Begins the next cell or row in a spreadsheet that does not split at commas: many locales split at
/// `;`, and then quotation marks do not protect the middle of a cell.
const SPLITS: [char; 4] = [';', '\t', '\r', '\n'];
/// Marks a cell as text.
const TEXT_MARK: char = '\'';

/// Shortest limit on cells: room for the note at the end of a cut one.
pub(crate) const SHORTEST_CELL: u32 = 100;
/// Longest limit on cells: no message is longer than the largest delivery.
pub(crate) const MAX_CELL: u32 = 64 << 20;

/// Limit on the characters of a cell.
type CellChars = Whole<{ SHORTEST_CELL as i64 }, { MAX_CELL as i64 }, 32>;

/// Form of CSV in a query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SheetQuery {
    /// For csv: begin with U+FEFF, by which Excel recognises UTF-8.
    #[param(default = false, example = false)]
    bom: Option<bool>,
    /// For csv: put an apostrophe before each `=`, `+`, `-` and `@` with which a formula could begin,
    /// at the start of a cell and after a `;`, a tab or a line break in it. It cannot be undone: with
    /// `false` the text is as it was said.
    #[param(default = true, example = false)]
    formula_guard: Option<bool>,
    /// For csv: cut longer cells, and note it at their end. Excel accepts 32767; emoji count as two.
    /// Without it, cells have all of the text.
    #[param(inline, example = 32_767)]
    max_cell_chars: Option<CellChars>,
}

impl SheetQuery {
    /// Returns the name of the first parameter that was given.
    fn first_given(&self) -> Option<&'static str> {
        let Self { bom, formula_guard, max_cell_chars } = self;
        bom.map(|_| "bom")
            .or(formula_guard.map(|_| "formula_guard"))
            .or(max_cell_chars.map(|_| "max_cell_chars"))
    }
}

/// Form of CSV for spreadsheets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// Begin with U+FEFF, by which Excel recognises UTF-8.
    pub(crate) bom: bool,
    /// Put an apostrophe before each possible formula. It cannot be undone: an apostrophe in the message
    /// looks the same.
    pub(crate) formula_guard: bool,
    /// Cut longer cells, in UTF-16 units, as spreadsheets count.
    pub(crate) max_cell_chars: Option<u32>,
}

impl Default for Sheet {
    fn default() -> Self {
        Self { bom: false, formula_guard: true, max_cell_chars: None }
    }
}

impl Sheet {
    /// Returns the form that a query describes. Other files than CSV reject its parameters.
    pub(crate) fn of_query(query: &SheetQuery, is_csv: bool) -> Result<Self, Problem> {
        if let Some(name) = query.first_given().filter(|_| !is_csv) {
            return Err(invalid(name, "is for csv; leave it out"));
        }
        Ok(Self {
            bom: query.bom.unwrap_or(false),
            formula_guard: query.formula_guard.unwrap_or(true),
            max_cell_chars: query.max_cell_chars.map(CellChars::as_u32),
        })
    }

    /// Returns a cell's text for the spreadsheet.
    pub(super) fn fit(self, text: &str) -> Cow<'_, str> {
        let text = if self.formula_guard { guard(text) } else { text.into() };
        let Some(limit) = self.max_cell_chars else { return text };
        match cut(&text, limit as usize) {
            Some(short) => short.into(),
            None => text,
        }
    }
}

/// Puts an apostrophe before each cell that a spreadsheet would read as a formula, at every place where
/// one may begin a cell.
fn guard(text: &str) -> Cow<'_, str> {
    let marks = formula_cells(text);
    if marks.is_empty() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + marks.len());
    let mut rest = 0;
    for mark in marks {
        out.push_str(&text[rest..mark]);
        out.push(TEXT_MARK);
        rest = mark;
    }
    out.push_str(&text[rest..]);
    out.into()
}

/// Returns the starts of cells that would be formulas, in bytes.
fn formula_cells(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    // Some spreadsheets skip a line break or a tab at the start of a cell.
    if text.starts_with(['\t', '\r', '\n']) {
        found.push(0);
    }
    // Start of the cell, while it may still become a formula.
    let mut cell = Some(0);
    for (at, c) in text.char_indices() {
        if SPLITS.contains(&c) {
            cell = Some(at + c.len_utf8());
        } else if let Some(begin) = cell {
            if FORMULA_STARTS.contains(&c) {
                found.push(begin);
                cell = None;
            } else if !is_skipped(c) {
                cell = None;
            }
        }
    }
    found
}

/// Returns true for a character before a formula's sign: spreadsheets drop it, or read it as a
/// quotation mark.
fn is_skipped(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\0' | '\u{FEFF}' | '\u{200B}')
}

/// Cuts a text to a limit in UTF-16 units, with a note at its end; returns `None` if it fits.
fn cut(text: &str, limit: usize) -> Option<String> {
    // No UTF-8 is shorter than its UTF-16.
    if text.len() <= limit {
        return None;
    }
    let length = text.encode_utf16().count();
    if length <= limit {
        return None;
    }
    let words = format!("… [cut off here; {length} characters in all]");
    let room = limit.saturating_sub(words.encode_utf16().count());
    let mut used = 0;
    let kept = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > room
    });
    let kept = kept.map_or(text, |(end, _)| &text[..end]);
    Some(format!("{kept}{words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formula_is_written_as_text() {
        for (said, written) in [
            ("=1+1", "'=1+1"),
            ("+49 30 1", "'+49 30 1"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠1", "'＠1"),
            (" =1", "' =1"),
            ("\u{FEFF}\u{A0}=1", "'\u{FEFF}\u{A0}=1"),
            ("\"=1\"", "'\"=1\""),
            ("\tx", "'\tx"),
            ("\t=1", "'\t'=1"),
            ("\r\n-1", "'\r\n'-1"),
            // In the middle, for locales that split at semicolons.
            ("Preis;=A1*2", "Preis;'=A1*2"),
            ("a; \"=HYPERLINK(A1)\";b;-c;d-e", "a;' \"=HYPERLINK(A1)\";b;'-c;d-e"),
            ("eins\n@zwei\r\n+drei\tvier", "eins\n'@zwei\r\n'+drei\tvier"),
            (";;=x", ";;'=x"),
        ] {
            assert_eq!(guard(said), written, "{said:?}");
        }
        for harmless in ["", "1=1, \"yes\"\n", "a-b", "'=1", "x;y", "well-known; x=1", ";", "é;é"]
        {
            assert_eq!(guard(harmless), harmless);
            assert!(matches!(guard(harmless), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_cell_is_cut_as_a_spreadsheet_counts() {
        let words = |length| format!("… [cut off here; {length} characters in all]");
        assert_eq!(cut(&"ä".repeat(100), 100), None);
        assert_eq!(cut(&"🦊".repeat(50), 100), None);
        let short = cut(&"ä".repeat(101), 100).unwrap();
        assert_eq!(short.encode_utf16().count(), 100);
        assert!(short.starts_with("ää") && short.ends_with(&words(101)), "{short}");
        // A fox takes two, and is not cut in half.
        let short = cut(&"🦊".repeat(51), 100).unwrap();
        assert!(short.ends_with(&words(102)) && short.starts_with("🦊"), "{short}");
        assert!((99..=100).contains(&short.encode_utf16().count()));
    }

    #[test]
    fn the_guard_is_counted_with_the_rest() {
        let sheet = Sheet { max_cell_chars: Some(100), ..Sheet::default() };
        assert_eq!(sheet.fit(&"=".repeat(99)).encode_utf16().count(), 100);
        let full = "=".repeat(100);
        let cut = sheet.fit(&full);
        assert!(cut.encode_utf16().count() == 100 && cut.contains("; 101 characters"), "{cut}");
        let bare = Sheet { formula_guard: false, max_cell_chars: None, bom: false };
        assert_eq!(bare.fit(&full), full);
    }
}
