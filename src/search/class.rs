//! Classes of letters, which divide a text into tokens.

use unicode_normalization::char::is_combining_mark;

use super::letters::{APOSTROPHE, ZWNJ};

/// Class of a letter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Part of a word.
    Word,
    /// Letter of a script without spaces, or of Korean.
    Unspaced,
    /// Picture, such as an emoji.
    Symbol,
    /// Occurs both within and between words.
    Joiner,
    /// Anything else.
    Separator,
}

impl Class {
    /// Returns the class of a folded letter.
    pub(super) fn of(letter: char) -> Self {
        match letter {
            '0'..='9' | 'a'..='z' => Self::Word,
            APOSTROPHE | ZWNJ => Self::Joiner,
            '\0'..='\u{7F}' => Self::Separator,
            _ if letter.is_alphanumeric() || is_combining_mark(letter) => {
                if is_unspaced(letter) {
                    Self::Unspaced
                } else {
                    Self::Word
                }
            }
            // Arrows, pictures, weather symbols, emoji.
            '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}' => Self::Symbol,
            _ => Self::Separator,
        }
    }
}

/// Matches letters of scripts without spaces, and of Korean.
fn is_unspaced(letter: char) -> bool {
    matches!(letter,
        // Thai and Lao, Burmese, Khmer.
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        // Hangul.
        | '\u{1100}'..='\u{11FF}' | '\u{A960}'..='\u{A97F}' | '\u{AC00}'..='\u{D7FF}'
        // Kana, Bopomofo, and marks of Han.
        | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{31BF}'
        | '\u{31F0}'..='\u{31FF}' | '\u{1AFF0}'..='\u{1B16F}'
        // Han.
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}'
    )
}
