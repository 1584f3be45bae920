//! Normalization of characters: digits of every script, dashes, spaces, invisible characters.

/// The zero of each script's decimal digits above ASCII (Unicode 16, general category Nd); the nine
/// others follow it.
const ZEROS: [u32; 75] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x10D40, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0,
    0x11650, 0x116C0, 0x116D0, 0x116DA, 0x11730, 0x118E0, 0x11950, 0x11BF0, 0x11C50, 0x11D50,
    0x11DA0, 0x11F50, 0x16130, 0x16A60, 0x16AC0, 0x16B50, 0x16D70, 0x1CCF0, 0x1D7CE, 0x1D7D8,
    0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E5F1, 0x1E950, 0x1FBF0,
];

/// Normalized form of a character.
pub(super) enum Normalized {
    /// Invisible character.
    Skipped,
    /// Character that the patterns match.
    Char(char),
}

/// Returns the ASCII form of a decimal digit of any script.
pub(super) fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    // Han, kana and Hangul have none, and fill whole texts.
    if code < 0x80 || (0x3000..0xA000).contains(&code) || (0xAC00..0xD800).contains(&code) {
        return c.is_ascii_digit().then_some(c);
    }
    let zero = ZEROS[..ZEROS.partition_point(|zero| *zero <= code)].last()?;
    char::from_digit(code - zero, 10)
}

/// Normalizes a character; `last` is the one before.
pub(super) fn normalize(c: char, last: Option<char>) -> Normalized {
    if let Some(digit) = digit(c) {
        return Normalized::Char(digit);
    }
    Normalized::Char(match c {
        '\0'
        | '\u{AD}'
        | '\u{34F}'
        | '\u{61C}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{20E3}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}' => return Normalized::Skipped,
        '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{5BE}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' => {
            '-'
        }
        // The mark of a long vowel, which is next to the digits on keyboards.
        '\u{30FC}' | '\u{FF70}' if last.is_some_and(|last| last.is_ascii_digit()) => '-',
        '\u{2019}' | '\u{2BC}' => '\'',
        '\u{2022}' | '\u{2219}' | '\u{22C5}' | '\u{30FB}' | '\u{FF65}' => '\u{B7}',
        '\u{60C}' | '\u{66C}' | '\u{3001}' | '\u{FF64}' => ',',
        '\u{66B}' => '.',
        '\u{FF61}' => '\u{3002}',
        '\u{208A}' | '\u{FE62}' => '+',
        '\u{FE6B}' => '@',
        '\u{2044}' | '\u{2215}' => '/',
        // Full-width forms have a fixed distance from ASCII.
        '\u{FF01}'..='\u{FF5E}' => {
            char::from_u32(u32::from(c) - 0xFF01 + u32::from('!')).unwrap_or(c)
        }
        _ if c.is_whitespace() => ' ',
        _ => c,
    })
}

/// Matches letters of scripts without spaces between words.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..0x1000 | 0x1000..0x10A0 | 0x1100..0x1200 | 0x1780..0x1800 | 0x19E0..0x1A00
        | 0x3000..0xA000 | 0xAC00..0xD7B0 | 0xF900..0xFB00 | 0xFF66..0xFFA0 | 0x20000..0x32000)
}
