//! Equivalent letters: variants by keyboard, by kana, in traditional or simplified Chinese, and
//! digits of other scripts.
//!
//! A change here, in `fold` or in `tokens` changes documents: raise
//! [`INDEX_VERSION`](super::INDEX_VERSION), and the index is rebuilt.

use std::sync::LazyLock;

/// Folded form of every apostrophe.
pub(super) const APOSTROPHE: char = '\'';
/// Zero-width non-joiner: joins the parts of a Persian word without joining their letters.
pub(super) const ZWNJ: char = '\u{200C}';
/// Folded form of every narrow or no-break space, which groups the digits of a number.
pub(super) const NARROW_SPACE: char = '\u{A0}';

/// Zeros of the scripts whose digits do not decompose into ASCII (`Nd` in `UnicodeData.txt`); the
/// nine other digits follow each.
const ZEROS: [char; 60] = [
    '\u{660}',
    '\u{6F0}',
    '\u{7C0}',
    '\u{966}',
    '\u{9E6}',
    '\u{A66}',
    '\u{AE6}',
    '\u{B66}',
    '\u{BE6}',
    '\u{C66}',
    '\u{CE6}',
    '\u{D66}',
    '\u{DE6}',
    '\u{E50}',
    '\u{ED0}',
    '\u{F20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17E0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19D0}',
    '\u{1A80}',
    '\u{1A90}',
    '\u{1B50}',
    '\u{1BB0}',
    '\u{1C40}',
    '\u{1C50}',
    '\u{A620}',
    '\u{A8D0}',
    '\u{A900}',
    '\u{A9D0}',
    '\u{A9F0}',
    '\u{AA50}',
    '\u{ABF0}',
    '\u{104A0}',
    '\u{10D30}',
    '\u{11066}',
    '\u{110F0}',
    '\u{11136}',
    '\u{111D0}',
    '\u{112F0}',
    '\u{11450}',
    '\u{114D0}',
    '\u{11650}',
    '\u{116C0}',
    '\u{11730}',
    '\u{118E0}',
    '\u{11950}',
    '\u{11C50}',
    '\u{11D50}',
    '\u{11DA0}',
    '\u{11F50}',
    '\u{16A60}',
    '\u{16AC0}',
    '\u{16B50}',
    '\u{1E140}',
    '\u{1E2F0}',
    '\u{1E4F0}',
    '\u{1E950}',
];

/// Chinese letters with their common forms, sorted.
static HAN: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let lines = include_str!("han.txt").lines().filter(|line| !line.starts_with('#'));
    let mut pairs: Vec<(char, char)> = lines
        .flat_map(|line| {
            let mut letters = line.chars();
            letters
                .next()
                .into_iter()
                .flat_map(move |first| line.chars().skip(1).map(move |other| (other, first)))
        })
        .collect();
    pairs.sort_unstable();
    pairs
});

/// Returns the common form of a letter whose case, accents and width have been removed.
pub(super) fn unify(letter: char) -> char {
    match letter {
        '\0'..='\u{7F}' => letter,
        '\u{600}'..='\u{6FF}' => arabic(letter),
        // Katakana, at a fixed distance after hiragana.
        '\u{30A1}'..='\u{30F6}' | '\u{30FD}' | '\u{30FE}' => {
            small_kana(char::from_u32(u32::from(letter) - 0x60).unwrap_or(letter))
        }
        '\u{3041}'..='\u{3096}' => small_kana(letter),
        '\u{3400}'..='\u{9FFF}' | '\u{20000}'..='\u{3FFFF}' => han(letter),
        _ => digit(letter).unwrap_or(letter),
    }
}

/// Returns the common form of a Chinese letter.
pub(super) fn han(letter: char) -> char {
    HAN.binary_search_by_key(&letter, |pair| pair.0).map_or(letter, |at| HAN[at].1)
}

/// Arabic, Persian, Urdu, Kurdish … keyboards write these letters with different code points. The
/// CLDR search collations of those languages treat them as equal.
fn arabic(letter: char) -> char {
    match letter {
        '\u{671}' | '\u{672}' | '\u{673}' => '\u{627}',
        '\u{649}' | '\u{6CC}' | '\u{6CD}' | '\u{6CE}' | '\u{6D0}' | '\u{6D1}' | '\u{6D2}' => {
            '\u{64A}'
        }
        '\u{6A9}' | '\u{6AA}' | '\u{6AC}' => '\u{643}',
        '\u{629}' | '\u{6BE}' | '\u{6C0}' | '\u{6C1}' | '\u{6C2}' | '\u{6C3}' | '\u{6D5}' => {
            '\u{647}'
        }
        _ => digit(letter).unwrap_or(letter),
    }
}

/// Small kana are often written in full size, and vice versa: the company キャノン writes キヤノン.
fn small_kana(letter: char) -> char {
    match letter {
        'ぁ' => 'あ',
        'ぃ' => 'い',
        'ぅ' => 'う',
        'ぇ' => 'え',
        'ぉ' => 'お',
        'っ' => 'つ',
        'ゃ' => 'や',
        'ゅ' => 'ゆ',
        'ょ' => 'よ',
        'ゎ' => 'わ',
        'ゕ' => 'か',
        'ゖ' => 'け',
        _ => letter,
    }
}

fn digit(letter: char) -> Option<char> {
    let at = ZEROS.partition_point(|zero| *zero <= letter).checked_sub(1)?;
    let value = u32::from(letter) - u32::from(ZEROS[at]);
    char::from_digit(value, 10)
}

/// Returns `true` if people write this letter as an apostrophe.
pub(super) fn is_apostrophe(letter: char) -> bool {
    matches!(
        letter,
        '\'' | '`'
            | '\u{B4}'
            | '\u{2B9}'..='\u{2BC}'
            | '\u{55A}'
            | '\u{5F3}' | '\u{5F4}'
            | '\u{2018}'..='\u{201B}'
            | '\u{2032}'
            | '\u{A78C}'
            | '\u{FF07}'
    )
}

/// Returns `true` if this space groups the digits of a number.
pub(super) fn is_narrow_space(letter: char) -> bool {
    matches!(letter, '\u{A0}' | '\u{2009}' | '\u{202F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_sorted_and_followed_by_nine_digits() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            for value in 0..10 {
                let letter = char::from_u32(u32::from(zero) + value).unwrap();
                assert!(letter.is_numeric(), "{letter:?}");
                assert_eq!(digit(letter), char::from_digit(value, 10));
            }
        }
        assert_eq!((digit('\u{65F}'), digit('\u{66A}')), (None, None));
    }

    #[test]
    fn folding_a_chinese_letter_twice_changes_nothing() {
        assert!(HAN.len() > 6_000, "{}", HAN.len());
        for (letter, common) in HAN.iter() {
            assert_eq!(han(*common), *common, "{letter}");
        }
        for (one, other) in [('後', '后'), ('髮', '发'), ('發', '发'), ('說', '说'), ('臺', '台')]
        {
            assert_eq!(han(one), han(other), "{one} {other}");
        }
        assert_ne!(han('人'), han('入'));
    }
}
