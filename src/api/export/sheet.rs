//! What makes a cell of CSV safe and whole in a spreadsheet: no formula, no more text than fits.

use std::borrow::Cow;

use crate::api::params::{Params, invalid};
use crate::problem::Problem;

/// Begins a formula. Where the keyboard is Chinese or Japanese, the full-width signs do, too.
const FORMULA_STARTS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
/// Makes a spreadsheet go on to the next cell or row where it does not split at commas: many
/// locales split at `;`, and then no quotation mark protects the middle of a cell.
const SPLITS: [char; 4] = [';', '\t', '\r', '\n'];
/// Read as the beginning of text, whatever follows.
const TEXT_MARK: char = '\'';

/// Parameters that only CSV takes.
pub(crate) const CSV_PARAMS: [&str; 3] = ["bom", "formula_guard", "max_cell_chars"];
/// The shortest that cells can be cut to: room for the words that say so.
pub(crate) const SHORTEST_CELL: u32 = 100;
/// The longest limit on cells: no message is longer than the largest delivery.
pub(crate) const LONGEST_CELL: u32 = 64 << 20;

/// How CSV is written for those who open it in a spreadsheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// Begin with U+FEFF: Excel takes the file for UTF-8 then, and for the machine's own character
    /// set otherwise.
    pub(crate) bom: bool,
    /// Put an apostrophe wherever a formula could begin. It cannot be undone: an apostrophe that was
    /// said looks the same.
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
    /// What a request asks for, which is refused where the file is not CSV.
    pub(in crate::api) fn wanted(params: &Params, is_csv: bool) -> Result<Self, Problem> {
        if let Some(name) = CSV_PARAMS.into_iter().find(|name| params.text(name).is_some())
            && !is_csv
        {
            return Err(invalid(name, "is for csv; leave it out"));
        }
        let limit = params.number("max_cell_chars", SHORTEST_CELL.into(), LONGEST_CELL.into())?;
        Ok(Self {
            bom: params.flag("bom")?.unwrap_or(false),
            formula_guard: params.flag("formula_guard")?.unwrap_or(true),
            max_cell_chars: limit.and_then(|limit| u32::try_from(limit).ok()),
        })
    }

    /// A cell's text, fit for the spreadsheet.
    pub(super) fn fit(self, text: &str) -> Cow<'_, str> {
        let text = if self.formula_guard { guard(text) } else { text.into() };
        let Some(limit) = self.max_cell_chars else { return text };
        match cut(&text, limit as usize) {
            Some(short) => short.into(),
            None => text,
        }
    }
}

/// Puts an apostrophe at the beginning of each cell that a spreadsheet would take for a formula,
/// wherever it may let cells begin.
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

/// Where cells begin that would be formulas, in bytes.
fn formula_cells(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    // A cell that begins with a line break or a tab: some spreadsheets pass over it.
    if text.starts_with(['\t', '\r', '\n']) {
        found.push(0);
    }
    // Where the cell began, for as long as it may still become a formula.
    let mut cell = Some(0);
    for (at, c) in text.char_indices() {
        if SPLITS.contains(&c) {
            cell = Some(at + c.len_utf8());
        } else if let Some(begin) = cell {
            if FORMULA_STARTS.contains(&c) {
                found.push(begin);
                cell = None;
            } else if !is_passed_over(c) {
                cell = None;
            }
        }
    }
    found
}

/// May stand before a formula's sign: spreadsheets drop it, or take it for a quotation mark.
fn is_passed_over(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\0' | '\u{FEFF}' | '\u{200B}')
}

/// The text cut to a limit in UTF-16 units, with words at its end that say so; `None` where it fits.
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
    fn what_a_sheet_would_take_for_a_formula_is_text() {
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
            // In the middle, for those who split at semicolons.
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
