//! Folds letters for comparison: removes accents, case, width and style, and unifies the variants
//! of keyboards. Each folded letter keeps its position in the original text.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::letters::{APOSTROPHE, NARROW_SPACE, ZWNJ, han, is_apostrophe, is_narrow_space, unify};

/// Folded letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) letter: char,
    /// Bytes of the original: a letter with its marks.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Folds a text.
pub(super) fn fold(text: &str) -> Fold<'_> {
    Fold { text, at: 0, ready: Vec::new() }
}

/// Iterator over the folded letters of a text.
pub(super) struct Fold<'a> {
    text: &'a str,
    at: usize,
    /// Folded letters of the last part of the text, in reverse order.
    ready: Vec<Unit>,
}

impl Iterator for Fold<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        loop {
            if let Some(unit) = self.ready.pop() {
                return Some(unit);
            }
            let rest = self.text.get(self.at..)?;
            let mut letters = rest.chars();
            let first = letters.next()?;
            let tail = letters.as_str();
            // After an Arabic letter a zero-width non-joiner separates the parts of a word;
            // elsewhere it only changes the shape of letters.
            let parts = is_arabic(first);
            let tail = tail.trim_start_matches(|letter| continues(letter, parts));
            let (start, end) = (self.at, self.at + rest.len() - tail.len());
            self.at = end;
            let single = match first {
                ZWNJ => Some(ZWNJ),
                _ if is_apostrophe(first) => Some(APOSTROPHE),
                _ if is_narrow_space(first) => Some(NARROW_SPACE),
                _ if end - start > first.len_utf8() => None,
                '\0'..='\u{7F}' => Some(first.to_ascii_lowercase()),
                '\u{4E00}'..='\u{9FFF}' => Some(han(first)),
                _ => None,
            };
            if let Some(letter) = single {
                return Some(Unit { letter, start, end });
            }
            let length = end - start;
            let folded = fold_part(&rest[..length]);
            self.ready.extend(folded.chars().rev().map(|letter| Unit { letter, start, end }));
        }
    }
}

/// Folds a letter with its marks.
fn fold_part(part: &str) -> String {
    let mut folded = String::with_capacity(part.len());
    for letter in part.nfkd().filter(|letter| !is_ignored(*letter)) {
        for lower in letter.to_lowercase() {
            match replacement(lower) {
                Some(spelt) => folded.push_str(spelt),
                None if is_ignored(lower) => {}
                None => folded.push(lower),
            }
        }
    }
    // Compose Hangul syllables and voiced kana again: they are separate letters.
    if folded.is_ascii() { folded } else { folded.nfc().map(unify).collect() }
}

fn is_arabic(letter: char) -> bool {
    matches!(letter, '\u{600}'..='\u{77F}' | '\u{8A0}'..='\u{8FF}' | '\u{FB50}'..='\u{FEFC}')
}

/// Returns the common replacement of a letter that Unicode does not decompose.
fn replacement(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'ı' => "i",
        'ς' => "σ",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'ł' => "l",
        'ħ' => "h",
        'þ' => "th",
        _ => return None,
    })
}

/// Returns `true` if a letter belongs to the one before it. `parts` says that a zero-width
/// non-joiner separates.
fn continues(letter: char, parts: bool) -> bool {
    match letter {
        '\0'..='\u{AC}' => false,
        ZWNJ => !parts,
        // Vowels and final consonants of Hangul; the voicing marks of half-width kana.
        '\u{1160}'..='\u{11FF}' | '\u{FF9E}' | '\u{FF9F}' => true,
        _ => is_ignored(letter) || is_combining_mark(letter),
    }
}

/// Returns `true` for letters that are ignored: accents, vowel points that are usually omitted, and
/// variation selectors. Marks of other scripts, such as the vowels of Hindi, distinguish words and
/// stay.
fn is_ignored(letter: char) -> bool {
    matches!(letter,
        '\u{AD}'
        | '\u{300}'..='\u{36F}'
        | '\u{591}'..='\u{5BD}' | '\u{5BF}' | '\u{5C1}' | '\u{5C2}' | '\u{5C4}' | '\u{5C5}' | '\u{5C7}'
        | '\u{610}'..='\u{61A}' | '\u{640}' | '\u{64B}'..='\u{65F}' | '\u{670}'
        | '\u{6D6}'..='\u{6DC}' | '\u{6DF}'..='\u{6E4}' | '\u{6E7}' | '\u{6E8}' | '\u{6EA}'..='\u{6ED}'
        | '\u{1AB0}'..='\u{1AFF}'
        | '\u{1DC0}'..='\u{1DFF}'
        | '\u{200C}' | '\u{200D}' | '\u{2060}'
        | '\u{20D0}'..='\u{20FF}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{FEFF}'
        | '\u{1F3FB}'..='\u{1F3FF}'
        | '\u{E0000}'..='\u{E01EF}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(text: &str) -> String {
        fold(text).map(|unit| unit.letter).collect()
    }

    #[test]
    fn accents_case_width_and_style_make_no_difference() {
        for (one, other) in [
            ("é", "e"),
            ("e\u{301}", "E"),
            ("Straße", "STRASSE"),
            ("GROẞ", "gross"),
            ("İstanbul", "istanbul"),
            ("ISPARTA", "ısparta"),
            ("ＡＢＣ１２３", "abc123"),
            ("ﬁnd", "find"),
            ("Ὀδυσσεύς", "οδυσσευσ"),
            ("ёлка", "ЕЛКА"),
            ("ｶﾞｷﾞ", "ガギ"),
            ("\u{1112}\u{1161}\u{11AB}", "한"),
            ("مُحَمَّد", "محمد"),
            ("Łódź", "lodz"),
            ("e\u{AD}mail", "email"),
            ("ي ى ی ے ئ", "ی ي ى ۍ ي"),
            ("كڪک", "ککك"),
            ("ةۀہھە", "ههههه"),
            ("أإآٱ", "اااا"),
            ("ﻛﺘﺎﺏ", "کتاب"),
            ("١٢٣ ۱۲۳ १२३ ๑๒๓ １２３", "123 123 123 123 123"),
            ("カタカナ ｶﾀｶﾅ", "かたかな かたかな"),
            ("キャノン ヴァイオリン 一ヶ月", "きやのん ゔあいおりん 一け月"),
            ("退貨說明後髮", "退货说明后发"),
            ("it’s itʼs it´s it`s it＇s", "it's it's it's it's it's"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("か"), folded("が"));
        assert_ne!(folded("گ"), folded("ک"), "another letter");
        assert_eq!(folded("می\u{200C}خواهم"), "مي\u{200C}خواهم");
        assert_eq!(folded("क्\u{200C}ष"), folded("क्ष"));
        assert_ne!(folded("कि"), folded("की"));
    }

    proptest! {
        #[test]
        fn folded_letters_keep_the_order_and_positions_of_the_text(text in "\\PC*") {
            let mut last = 0;
            for unit in fold(&text) {
                prop_assert!(unit.start >= last || unit.start < unit.end);
                prop_assert!(text.get(unit.start..unit.end).is_some_and(|part| !part.is_empty()));
                last = unit.start;
            }
        }

        #[test]
        fn upper_and_lower_case_are_the_same(text in "[a-zA-Zäöüéèêñçøåßα-ωа-я ]*") {
            prop_assert_eq!(folded(&text.to_uppercase()), folded(&text.to_lowercase()));
        }
    }
}
