//! Letters as they are compared: without accents, case, width and style, whatever keyboard wrote
//! them. Each stays with the part of the original text that it came from.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::letters::{
    APOSTROPHE, NARROW_SPACE, ZWNJ, compared, han, is_apostrophe, is_narrow_space,
};

/// A folded letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) letter: char,
    /// Where it came from, in bytes of the original: a letter with all that is put onto it.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Folds a text from its beginning on.
pub(super) fn fold(text: &str) -> Fold<'_> {
    Fold { text, at: 0, ready: Vec::new() }
}

/// The letters of a text, folded.
pub(super) struct Fold<'a> {
    text: &'a str,
    at: usize,
    /// What the last part of the text became, the last letter first.
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
            // Behind an Arabic letter it parts words that are written as one; elsewhere it only says
            // how letters are to look.
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

/// A letter with all that is put onto it.
fn fold_part(part: &str) -> String {
    let mut folded = String::with_capacity(part.len());
    for letter in part.nfkd().filter(|letter| !is_passed_over(*letter)) {
        for lower in letter.to_lowercase() {
            match spelt_out(lower) {
                Some(spelt) => folded.push_str(spelt),
                None if is_passed_over(lower) => {}
                None => folded.push(lower),
            }
        }
    }
    // Hangul's syllables and the voiced kana are letters of their own, and whole again.
    if folded.is_ascii() { folded } else { folded.nfc().map(compared).collect() }
}

fn is_arabic(letter: char) -> bool {
    matches!(letter, '\u{600}'..='\u{77F}' | '\u{8A0}'..='\u{8FF}' | '\u{FB50}'..='\u{FEFC}')
}

/// Letters that people also write without the letter, and that no decomposition knows.
fn spelt_out(letter: char) -> Option<&'static str> {
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

/// It belongs to the letter before it, unless it `parts` it from the next one.
fn continues(letter: char, parts: bool) -> bool {
    match letter {
        '\0'..='\u{AC}' => false,
        ZWNJ => !parts,
        // Vowels and final consonants of Hangul; the voicing marks of half-width kana.
        '\u{1160}'..='\u{11FF}' | '\u{FF9E}' | '\u{FF9F}' => true,
        _ => is_passed_over(letter) || is_combining_mark(letter),
    }
}

/// It makes no difference: accents, vowel points that are mostly left out, and what only says how a
/// letter is to look. Marks of other scripts, as the vowels of Hindi, tell words apart and stay.
fn is_passed_over(letter: char) -> bool {
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
        fn every_letter_comes_from_a_part_of_the_text_and_in_order(text in "\\PC*") {
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
