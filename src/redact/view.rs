//! Normalized text for the patterns, with the positions of its parts in the original.
//!
//! Digits of every script, full-width letters and signs become ASCII; dashes become `-`, spaces
//! ` `; invisible characters are removed; JSON escapes are decoded. A span found in the view is
//! replaced in the original, so that nothing around it changes.

use std::borrow::Cow;
use std::ops::Range;

use super::characters::{Normalized, normalize};
use super::steps;

/// Meaning of a backslash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Ordinary character.
    Literal,
    /// Start of an escape, as in a JSON string.
    Json,
}

/// Words for a plus before a number.
const PLUS: [&str; 8] = ["plus", "más", "mas", "mais", "più", "piu", "плюс", "artı"];
/// Words that repeat the digit after them.
const TIMES: [(&str, usize); 2] = [("double", 2), ("triple", 3)];
/// The longest of these words, in bytes.
const MAX_WORD: usize = 8;

/// Normalized text.
pub(super) struct View<'a> {
    pub(super) text: Cow<'a, str>,
    /// Positions at which the offset between the two texts changes.
    marks: Vec<Mark>,
}

/// Position from which the two texts correspond byte for byte.
#[derive(Clone, Copy)]
struct Mark {
    view: usize,
    raw: usize,
}

impl<'a> View<'a> {
    /// Normalizes bytes. Invalid UTF-8 becomes U+FFFD.
    pub(super) fn new(raw: &'a [u8], escapes: Escapes) -> Self {
        steps::add(raw.len());
        if let Ok(text) = std::str::from_utf8(raw)
            && is_plain(raw, escapes)
        {
            return Self { text: Cow::Borrowed(text), marks: Vec::new() };
        }
        let mut builder = Builder { text: String::with_capacity(raw.len()), marks: Vec::new() };
        let mut at = 0;
        for chunk in raw.utf8_chunks() {
            builder.chunk(chunk.valid(), at, escapes);
            at += chunk.valid().len();
            if !chunk.invalid().is_empty() {
                builder.put('\u{FFFD}', at);
                at += chunk.invalid().len();
            }
        }
        builder.sync(raw.len());
        Self { text: Cow::Owned(builder.text), marks: builder.marks }
    }

    /// Returns the span in the original.
    pub(super) fn raw(&self, span: &Range<usize>) -> Range<usize> {
        place(&self.marks, span.start)..place(&self.marks, span.end)
    }
}

fn place(marks: &[Mark], view: usize) -> usize {
    let before = marks.partition_point(|mark| mark.view <= view);
    marks[..before].last().map_or(view, |mark| mark.raw + (view - mark.view))
}

/// Returns `true` for ASCII without anything to normalize.
fn is_plain(raw: &[u8], escapes: Escapes) -> bool {
    let special = |byte: &u8| *byte >= 0x80 || *byte == 0;
    if raw.iter().any(special) || escapes == Escapes::Json && raw.contains(&b'\\') {
        return false;
    }
    let digit_after_word = |three: &[u8]| {
        three[0].is_ascii_alphabetic() && three[1] == b' ' && three[2].is_ascii_digit()
    };
    !raw.windows(3).enumerate().any(|(at, three)| {
        let end = &raw[at.saturating_sub(MAX_WORD)..at + 2];
        digit_after_word(three)
            && std::str::from_utf8(end).is_ok_and(|text| word_before(text).is_some())
    })
}

/// Word that is read as a sign or as digits.
enum Word {
    Plus,
    Times(usize),
}

/// Returns the word at the end of a text, before a space, and its start.
fn word_before(text: &str) -> Option<(usize, Word)> {
    let before = text.strip_suffix(' ')?;
    let ends_with = |word: &str| {
        let start = before.len().checked_sub(word.len())?;
        let same = before.get(start..)?.to_lowercase() == word;
        let begins = before[..start].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        (same && begins).then_some(start)
    };
    let plus = PLUS.iter().find_map(|word| Some((ends_with(word)?, Word::Plus)));
    plus.or_else(|| {
        TIMES.iter().find_map(|(word, times)| Some((ends_with(word)?, Word::Times(*times))))
    })
}

struct Builder {
    text: String,
    marks: Vec<Mark>,
}

impl Builder {
    fn chunk(&mut self, text: &str, start: usize, escapes: Escapes) {
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let (c, length) = match (c, escapes) {
                ('\\', Escapes::Json) => unescape(&text[at..]),
                _ => (c, c.len_utf8()),
            };
            match normalize(c, self.text.chars().next_back()) {
                Normalized::Skipped => {}
                Normalized::Char(digit) if digit.is_ascii_digit() => self.digit(digit, start + at),
                Normalized::Char(c) => self.put(c, start + at),
            }
            at += length;
        }
    }

    /// Appends a character whose original position is `raw`.
    fn put(&mut self, c: char, raw: usize) {
        self.sync(raw);
        self.text.push(c);
    }

    /// Records that the end of the view corresponds to `raw`.
    fn sync(&mut self, raw: usize) {
        let view = self.text.len();
        if place(self.marks.last().map_or(&[], std::slice::from_ref), view) != raw {
            self.marks.push(Mark { view, raw });
        }
    }

    fn digit(&mut self, digit: char, raw: usize) {
        let word = if self.text.ends_with(' ') { word_before(&self.text) } else { None };
        if let Some((view, word)) = word {
            let start = place(&self.marks, view);
            self.text.truncate(view);
            while self.marks.last().is_some_and(|mark| mark.view > view) {
                self.marks.pop();
            }
            match word {
                Word::Plus => self.put('+', start),
                Word::Times(times) => {
                    for _ in 1..times {
                        self.put(digit, start);
                    }
                }
            }
        }
        self.put(digit, raw);
    }
}

/// Returns the character of an escape and the escape's length. An invalid escape is a backslash.
/// A lone surrogate is U+FFFD, as in the API's answers.
fn unescape(text: &str) -> (char, usize) {
    const UNIT: usize = "\\u0000".len();
    let unit = |at: usize| {
        let digits = text.get(at..at + UNIT)?.strip_prefix("\\u")?;
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| all_hex)
    };
    let simple = |c| (c, 2);
    match text.as_bytes().get(1) {
        Some(b'n') => simple('\n'),
        Some(b't') => simple('\t'),
        Some(b'r') => simple('\r'),
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{C}'),
        Some(b'"') => simple('"'),
        Some(b'/') => simple('/'),
        Some(b'\\') => simple('\\'),
        Some(b'u') => match (unit(0), unit(UNIT)) {
            (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                (char::from_u32(code).unwrap_or('\u{FFFD}'), 2 * UNIT)
            }
            (Some(code), _) => (char::from_u32(code).unwrap_or('\u{FFFD}'), UNIT),
            (None, _) => ('\\', 1),
        },
        _ => ('\\', 1),
    }
}
