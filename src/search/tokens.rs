//! Text → tokens, the same for what is searched and for what is asked.
//!
//! Scripts that put spaces between words give words. The others (Chinese, Japanese, Thai …) give
//! overlapping pairs of letters, and the last letter alone: a term of two letters is one token, a
//! longer one a row of pairs, and one letter alone is found as the beginning of a pair. Korean is
//! among them: its words are written together with their endings.
//!
//! A word with an apostrophe or a zero-width non-joiner within gives itself without it and, at the
//! same position, its pieces: `l'homme` gives `lhomme`, `l` and `homme`. So does a number whose
//! digits are grouped: `100,000` gives `100000`, `100` and `000`.

use std::collections::VecDeque;

use unicode_normalization::char::is_combining_mark;

use super::fold::{Fold, Unit, fold};
use super::letters::{APOSTROPHE, NARROW_SPACE, ZWNJ};

/// Longest token of a word, in letters: a longer word is a row of them. Postgres takes 2,046 bytes.
pub(super) const LONGEST_WORD: usize = 64;
/// Digits of a group of a number, and of the shorter groups that India writes.
const GROUP: usize = 3;
const INDIAN_GROUP: usize = 2;
/// Most groups of a number that are looked at.
const MOST_GROUPS: usize = 8;

/// What can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As it is compared.
    pub text: String,
    /// What it is.
    pub kind: TokenKind,
    /// Its place in the text, counted from one without a gap. The pieces of a word share its place.
    pub position: u32,
    /// Where it begins, in bytes of the original.
    pub start: usize,
    /// Where its first letter ends; a word's end for a word.
    pub head_end: usize,
    /// Where it ends.
    pub end: usize,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word, or a number.
    Word,
    /// A piece of the word that is the token before it.
    Piece,
    /// Two letters of a script without spaces.
    Pair,
    /// The last letter of a run in such a script.
    Last,
    /// A picture.
    Symbol,
}

/// The tokens of a text.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let tokens = Tokens { units: fold(text), ahead: VecDeque::new(), pieces: VecDeque::new() };
    tokens.scan(0_u32, |position, token| {
        *position = position.saturating_add(u32::from(token.kind != TokenKind::Piece));
        Some(Token { position: *position, ..token })
    })
}

/// Where each letter of a word's token comes from, in bytes: of the part of the text that the token
/// is made of.
pub(super) fn letters_of(part: &str) -> impl Iterator<Item = (usize, usize)> {
    let letters = fold(part).filter(|unit| Class::of(unit.letter) == Class::Word);
    letters.map(|unit| (unit.start, unit.end))
}

struct Tokens<'a> {
    units: Fold<'a>,
    /// Letters that were looked at and not yet taken.
    ahead: VecDeque<Unit>,
    /// Pieces of the word before, which come next.
    pieces: VecDeque<Token>,
}

impl Tokens<'_> {
    fn take(&mut self) -> Option<Unit> {
        self.ahead.pop_front().or_else(|| self.units.next())
    }

    /// The letter so far ahead, which stays.
    fn peek(&mut self, at: usize) -> Option<Unit> {
        while self.ahead.len() <= at {
            self.ahead.push_back(self.units.next()?);
        }
        self.ahead.get(at).copied()
    }

    fn is_ahead(&mut self, at: usize, class: Class) -> bool {
        self.peek(at).is_some_and(|unit| Class::of(unit.letter) == class)
    }

    fn word(&mut self, first: Unit) -> Token {
        let mut word = Letters::default();
        word.push(first);
        // Where its pieces begin, the first one aside.
        let mut cuts = Vec::new();
        while word.letters < LONGEST_WORD {
            if self.is_ahead(0, Class::Joiner) && self.is_ahead(1, Class::Word) {
                self.take();
                cuts.push(word.parts.len());
            } else if !self.is_ahead(0, Class::Word) {
                break;
            }
            word.extend(self.take());
        }
        if cuts.is_empty() && word.is_number(GROUP) && !self.is_ahead(0, Class::Word) {
            for _ in 0..self.grouped(first.letter) {
                match self.take() {
                    Some(digit) if digit.letter.is_ascii_digit() => word.push(digit),
                    _ => cuts.push(word.parts.len()),
                }
            }
        }
        if !cuts.is_empty() {
            let bounds = [&[0], &cuts[..], &[word.parts.len()]].concat();
            let piece = |cut: &[usize]| word.token(cut[0]..cut[1], TokenKind::Piece);
            self.pieces = bounds.windows(2).map(piece).collect();
        }
        word.token(0..word.parts.len(), TokenKind::Word)
    }

    /// How many of the letters ahead belong to a number as further groups of its digits.
    fn grouped(&mut self, first: char) -> usize {
        let Some(mark) = self.peek(0).map(|unit| unit.letter).filter(|mark| groups(*mark)) else {
            return 0;
        };
        // 0,125 is a fraction.
        if first == '0' {
            return 0;
        }
        let (mut at, mut lengths) = (0, Vec::new());
        while lengths.len() < MOST_GROUPS && self.peek(at).is_some_and(|unit| unit.letter == mark) {
            let mut digits = 0;
            while digits <= GROUP && self.is_digit(at + 1 + digits) {
                digits += 1;
            }
            if digits == 0 {
                break;
            }
            lengths.push(digits);
            at += 1 + digits;
        }
        let all = |lengths: &[usize], length| lengths.iter().all(|one| *one == length);
        let fits = match lengths.split_last() {
            Some((last, others)) if *last == GROUP => {
                all(others, GROUP) || (mark == ',' && all(others, INDIAN_GROUP))
            }
            _ => false,
        };
        let ends = lengths.len() < MOST_GROUPS && !self.is_ahead(at, Class::Word);
        if fits && ends { at } else { 0 }
    }

    fn is_digit(&mut self, at: usize) -> bool {
        self.peek(at).is_some_and(|unit| unit.letter.is_ascii_digit())
    }

    fn pair(&mut self, first: Unit) -> Token {
        let Unit { letter, start, end } = first;
        let mut text = String::from(letter);
        let next = self.peek(0).filter(|next| Class::of(next.letter) == Class::Unspaced);
        let Some(next) = next else {
            return Token { text, kind: TokenKind::Last, position: 0, start, head_end: end, end };
        };
        // It begins the next pair, too.
        text.push(next.letter);
        Token { text, kind: TokenKind::Pair, position: 0, start, head_end: end, end: next.end }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if let Some(piece) = self.pieces.pop_front() {
            return Some(piece);
        }
        loop {
            let first = self.take()?;
            match Class::of(first.letter) {
                Class::Word => return Some(self.word(first)),
                Class::Unspaced => return Some(self.pair(first)),
                Class::Symbol => {
                    let Unit { letter, start, end } = first;
                    let (text, kind) = (letter.into(), TokenKind::Symbol);
                    return Some(Token { text, kind, position: 0, start, head_end: end, end });
                }
                Class::Separator | Class::Joiner => {}
            }
        }
    }
}

/// The letters of a word.
#[derive(Default)]
struct Letters {
    text: String,
    letters: usize,
    /// Of each letter: where it ends in `text`, and where it comes from.
    parts: Vec<(usize, Unit)>,
}

impl Letters {
    fn push(&mut self, unit: Unit) {
        self.text.push(unit.letter);
        self.letters += 1;
        self.parts.push((self.text.len(), unit));
    }

    /// It has so many digits at the most, and nothing else.
    fn is_number(&self, most: usize) -> bool {
        self.letters <= most && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The token of some of the letters, at least one.
    fn token(&self, letters: std::ops::Range<usize>, kind: TokenKind) -> Token {
        let begin = letters.start.checked_sub(1).map_or(0, |before| self.parts[before].0);
        let (first, last) = (self.parts[letters.start].1, self.parts[letters.end - 1]);
        let text = self.text[begin..last.0].to_owned();
        let end = last.1.end;
        Token { text, kind, position: 0, start: first.start, head_end: end, end }
    }
}

impl Extend<Unit> for Letters {
    fn extend<T: IntoIterator<Item = Unit>>(&mut self, units: T) {
        units.into_iter().for_each(|unit| self.push(unit));
    }
}

/// What stands between the groups of a number's digits, in one country or another.
fn groups(letter: char) -> bool {
    matches!(letter, ',' | '.' | APOSTROPHE | NARROW_SPACE | '\u{66C}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Unspaced,
    Symbol,
    /// It stands within words, and between words.
    Joiner,
    Separator,
}

impl Class {
    fn of(letter: char) -> Self {
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
            // Arrows, pictures, signs of the weather, emoji.
            '\u{2190}'..='\u{2BFF}' | '\u{1F000}'..='\u{1FAFF}' => Self::Symbol,
            _ => Self::Separator,
        }
    }
}

/// Letters of scripts that are written without spaces, and of Korean.
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).map(|token| token.text).collect()
    }

    #[test]
    fn words_are_told_apart_by_what_is_no_letter() {
        assert_eq!(
            texts("It is 3.14 — «Ça va?» user_id"),
            ["it", "is", "3", "14", "ca", "va", "user", "id"]
        );
        assert_eq!(texts("привет, мир! नमस्ते"), ["привет", "мир", "नमस्ते"]);
    }

    #[test]
    fn a_word_with_an_apostrophe_or_a_non_joiner_has_pieces_at_its_place() {
        assert_eq!(texts("don't don’t dont"), ["dont", "don", "t", "dont", "don", "t", "dont"]);
        assert_eq!(texts("'quoted' rock'n'roll"), ["quoted", "rocknroll", "rock", "n", "roll"]);
        assert_eq!(texts("می\u{200C}خواهم"), ["ميخواهم", "مي", "خواهم"]);
        let token = |(text, kind, position, range): (&str, _, _, std::ops::Range<usize>)| {
            let (start, end) = (range.start, range.end);
            Token { text: text.into(), kind, position, start, head_end: end, end }
        };
        let expected = [
            ("a", TokenKind::Word, 1, 0..1),
            ("lhomme", TokenKind::Word, 2, 2..9),
            ("l", TokenKind::Piece, 2, 2..3),
            ("homme", TokenKind::Piece, 2, 4..9),
            ("b", TokenKind::Word, 3, 10..11),
        ];
        assert_eq!(tokens("a l'homme b").collect::<Vec<_>>(), expected.map(token));
    }

    #[test]
    fn grouped_digits_are_one_number() {
        let texts = |text: &str| -> Vec<String> {
            let words = tokens(text).filter(|token| token.kind != TokenKind::Piece);
            words.map(|token| token.text).collect()
        };
        assert_eq!(
            tokens("101,102").map(|token| token.text).collect::<Vec<_>>(),
            ["101102", "101", "102"]
        );
        for text in [
            "100000",
            "100,000",
            "100.000",
            "100'000",
            "100’000",
            "100\u{A0}000",
            "100\u{202F}000",
            "١٠٠٬٠٠٠",
            "１００，０００",
            "1,00,000",
        ] {
            assert_eq!(texts(text), ["100000"], "{text}");
        }
        assert_eq!(texts("1,234,567.89 €"), ["1234567", "89"]);
        assert_eq!(texts("12,34,56,789."), ["123456789"]);
        for (text, expected) in [
            ("0.125", vec!["0", "125"]),
            ("1,2", vec!["1", "2"]),
            ("555.123.4567", vec!["555", "123", "4567"]),
            ("1,234,56", vec!["1", "234", "56"]),
            ("1,000km", vec!["1", "000km"]),
            ("2026,100", vec!["2026", "100"]),
            ("10 000", vec!["10", "000"]),
        ] {
            assert_eq!(texts(text), expected, "{text}");
        }
        assert_eq!(texts(&"1,234".repeat(40))[0], "1");
    }

    #[test]
    fn scripts_without_spaces_give_pairs_and_the_last_letter() {
        assert_eq!(texts("退款政策"), ["退款", "款政", "政策", "策"]);
        assert_eq!(texts("ﾃﾞｰﾀを"), ["でー", "ーた", "たを", "を"]);
        assert_eq!(texts("iPhone手机3月"), ["iphone", "手机", "机", "3", "月"]);
        assert_eq!(texts("환불 정책"), ["환불", "불", "정책", "책"]);
    }

    #[test]
    fn pictures_are_tokens_and_punctuation_is_none() {
        assert_eq!(texts("🦊!👍🏽 ❤️"), ["🦊", "👍", "❤"]);
        assert_eq!(texts(" …—!? ・。''"), [""; 0]);
    }

    #[test]
    fn a_long_word_is_a_row_of_tokens_and_nothing_of_it_is_lost() {
        assert_eq!(tokens(&"a ".repeat(20_000)).last().unwrap().position, 20_000);
        let long = texts(&"x".repeat(150));
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [64, 64, 22]);
    }

    proptest! {
        #[test]
        fn tokens_stand_in_the_order_of_the_text(text in "[\\PC'’0-9,\u{200C}می]*") {
            let mut before = (0, 0);
            for token in tokens(&text) {
                let place = before.1 + u32::from(token.kind != TokenKind::Piece);
                prop_assert_eq!(token.position, place);
                prop_assert!(!token.text.is_empty());
                prop_assert!(token.start >= before.0 || token.kind == TokenKind::Piece);
                prop_assert!(token.start < token.head_end && token.head_end <= token.end);
                prop_assert!(text.get(token.start..token.end).is_some());
                prop_assert!(text.get(token.start..token.head_end).is_some());
                if matches!(token.kind, TokenKind::Word | TokenKind::Piece) {
                    let letters = letters_of(&text[token.start..token.end]).count();
                    prop_assert!(letters >= token.text.chars().count());
                }
                before = (token.start, place);
            }
        }

        #[test]
        fn a_token_holds_nothing_that_means_anything_to_postgres(text in any::<String>()) {
            for token in tokens(&text) {
                let special = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
                prop_assert!(!token.text.contains(special), "{:?}", token);
                prop_assert!(token.text.len() <= 2_046);
            }
        }
    }
}
