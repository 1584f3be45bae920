//! Text that Postgres can store: UTF-8 without U+0000.

use std::borrow::Cow;

/// Storable text, which may have been altered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Text with U+FFFD for each character that cannot be stored.
    pub value: String,
    /// A character was replaced.
    pub altered: bool,
}

impl Text {
    /// Converts bytes that are UTF-8 except for lone surrogates, which JSON can contain and UTF-8
    /// cannot: each arrives as three WTF-8 bytes and becomes one U+FFFD.
    #[must_use]
    pub fn from_wtf8(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::without_nul(Cow::Borrowed(text)),
            Err(_) => {
                let mut text = Self::without_nul(Cow::Owned(replace_surrogates(bytes)));
                text.altered = true;
                text
            }
        }
    }

    fn without_nul(text: Cow<'_, str>) -> Self {
        if text.contains('\0') {
            Self { value: text.replace('\0', "\u{FFFD}"), altered: true }
        } else {
            Self { value: text.into_owned(), altered: false }
        }
    }
}

fn replace_surrogates(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut after_surrogate = 0_u8;
    for chunk in bytes.utf8_chunks() {
        if !chunk.valid().is_empty() {
            after_surrogate = 0;
            text.push_str(chunk.valid());
        }
        match chunk.invalid() {
            [] => {}
            // The first byte of a surrogate becomes U+FFFD; its two continuation bytes, which are
            // separate chunks, are skipped.
            [0xED] => {
                after_surrogate = 2;
                text.push('\u{FFFD}');
            }
            [0x80..=0xBF] if after_surrogate > 0 => after_surrogate -= 1,
            _ => text.push('\u{FFFD}'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        let text = Text::from_wtf8("Grüße, 世界 🦊".as_bytes());
        assert_eq!(text, Text { value: "Grüße, 世界 🦊".into(), altered: false });
    }

    #[test]
    fn each_lone_surrogate_and_each_nul_becomes_one_replacement() {
        let text = Text::from_wtf8(b"a\xED\xA0\x80b\xED\xBF\xBF\xED\xA0\x80c\0d");
        assert_eq!(text.value, "a\u{FFFD}b\u{FFFD}\u{FFFD}c\u{FFFD}d");
        assert!(text.altered);
    }

    #[test]
    fn other_invalid_bytes_are_replaced() {
        let text = Text::from_wtf8(b"\xFFa\x80");
        assert_eq!(text.value, "\u{FFFD}a\u{FFFD}");
        assert!(text.altered);
    }
}
