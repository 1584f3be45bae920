//! Escapes line separators in JSON that must stay on one line: JSON lines, server-sent events, and
//! the log.
//!
//! JSON escapes ASCII control characters, but not U+0085, U+2028 and U+2029. Many readers end a
//! line at them: `readline` of Node.js, Python's `str.splitlines`, httpx.

use std::borrow::Cow;

/// First byte of U+0085 in UTF-8, and of 63 other characters.
const FIRST_OF_TWO: u8 = 0xC2;
/// First byte of U+2028 and U+2029 in UTF-8, and of 4,094 other characters.
const FIRST_OF_THREE: u8 = 0xE2;

/// Escapes the line separators in the JSON text that begins at `start` of `out`. They can only
/// occur within strings, where an escape means the same.
pub fn escape_separators_from(out: &mut Vec<u8>, start: usize) {
    let Some(first) = out.get(start..).and_then(next_separator) else { return };
    let json = out.split_off(start + first.at);
    escape_into(out, &json);
}

/// Returns the JSON text with its line separators escaped.
#[must_use]
pub fn escape_separators(json: &str) -> Cow<'_, str> {
    if next_separator(json.as_bytes()).is_none() {
        return json.into();
    }
    let mut out = Vec::with_capacity(json.len() + json.len() / 8);
    escape_into(&mut out, json.as_bytes());
    // Only whole characters were replaced, so this is UTF-8.
    String::from_utf8_lossy(&out).into_owned().into()
}

/// Returns `true` if a text contains a line separator outside ASCII.
#[must_use]
pub fn has_separator(text: &str) -> bool {
    next_separator(text.as_bytes()).is_some()
}

fn escape_into(out: &mut Vec<u8>, mut json: &[u8]) {
    while let Some(Separator { at, length, escape }) = next_separator(json) {
        out.extend_from_slice(&json[..at]);
        out.extend_from_slice(escape);
        json = &json[at + length..];
    }
    out.extend_from_slice(json);
}

/// Line separator in a text.
struct Separator {
    at: usize,
    /// Length in bytes.
    length: usize,
    escape: &'static [u8],
}

/// Returns the first line separator.
fn next_separator(text: &[u8]) -> Option<Separator> {
    memchr::memchr2_iter(FIRST_OF_TWO, FIRST_OF_THREE, text).find_map(|at| {
        let (length, escape): (_, &[u8]) = match text[at..] {
            [FIRST_OF_TWO, 0x85, ..] => (2, b"\\u0085"),
            [FIRST_OF_THREE, 0x80, 0xA8, ..] => (3, b"\\u2028"),
            [FIRST_OF_THREE, 0x80, 0xA9, ..] => (3, b"\\u2029"),
            _ => return None,
        };
        Some(Separator { at, length, escape })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn separators_are_escaped_and_their_neighbours_are_not() {
        let json = "{\"a\":\"\u{2028}x\u{2027}\u{2029}\u{202A}\u{84}\u{85}\u{86}“é世”\\\u{5c}\"}";
        let expected =
            "{\"a\":\"\\u2028x\u{2027}\\u2029\u{202A}\u{84}\\u0085\u{86}“é世”\\\u{5c}\"}";
        assert_eq!(escape_separators(json), expected);
        let mut out = "\u{2028}before".as_bytes().to_vec();
        let start = out.len();
        out.extend_from_slice(json.as_bytes());
        escape_separators_from(&mut out, start);
        assert_eq!(out, format!("\u{2028}before{expected}").into_bytes());
    }

    proptest! {
        #[test]
        fn escaped_json_has_the_same_value_on_one_line(
            text in "([\u{80}-\u{90}\u{2020}-\u{2030}\\\\\"\n\r\u{b}\u{c}\u{1c}-\u{1e}]|\\PC){0,40}"
        ) {
            let json = serde_json::to_string(&text).unwrap();
            let line = escape_separators(&json);
            prop_assert_eq!(has_separator(&text), line.len() > json.len());
            let ends = |c: char| "\n\r\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}".contains(c);
            prop_assert!(!line.contains(ends));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            let mut out = json.clone().into_bytes();
            escape_separators_from(&mut out, 0);
            prop_assert_eq!(out, line.as_bytes());
        }
    }
}
