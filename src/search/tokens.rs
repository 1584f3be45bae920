//! Splits a text into tokens, in the same way for messages and queries.
//!
//! Scripts with spaces between words produce words. The others (Chinese, Japanese, Thai …) produce
//! overlapping pairs of letters, and the last letter alone: a term of two letters is one token, a
//! longer one a row of pairs, and a single letter matches the beginning of a pair. Korean is among
//! them, because its words are written together with their endings.
//!
//! A word with an apostrophe or a zero-width non-joiner produces the word without it and, at the
//! same position, its pieces: `l'homme` produces `lhomme`, `l` and `homme`. So does a number whose
//! digits are grouped: `100,000` produces `100000`, `100` and `000`.

use std::collections::VecDeque;

use super::class::Class;
use super::fold::{Fold, Unit, fold};
use super::letters::{APOSTROPHE, NARROW_SPACE};

/// Longest token of a word, in letters: a longer word is a row of them. Postgres accepts 2,046
/// bytes.
pub(super) const MAX_WORD: usize = 64;
/// Number of digits in a group of a number, and in the shorter groups of India.
const GROUP: usize = 3;
const INDIAN_GROUP: usize = 2;
/// Most groups of a number that are inspected.
const MAX_GROUPS: usize = 8;

/// Searchable part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Folded text.
    pub text: String,
    /// Kind.
    pub kind: TokenKind,
    /// Position in the text, counted from one without gaps. The pieces of a word share its
    /// position.
    pub position: u32,
    /// Start, in bytes of the original.
    pub start: usize,
    /// End of its first letter; for a word, the end of the word.
    pub head_end: usize,
    /// End, in bytes of the original.
    pub end: usize,
}

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// Word or number.
    Word,
    /// Piece of the word that precedes it.
    Piece,
    /// Pair of letters of a script without spaces.
    Pair,
    /// Last letter of a run in such a script.
    Last,
    /// Picture, such as an emoji.
    Symbol,
}

/// Returns the tokens of a text.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let tokens = Tokens { units: fold(text), ahead: VecDeque::new(), pieces: VecDeque::new() };
    tokens.scan(0_u32, |position, token| {
        *position = position.saturating_add(u32::from(token.kind != TokenKind::Piece));
        Some(Token { position: *position, ..token })
    })
}

/// Returns the byte range of each letter of a word; `part` is the part of the text that the token
/// was made of.
pub(super) fn letters_of(part: &str) -> impl Iterator<Item = (usize, usize)> {
    let letters = fold(part).filter(|unit| Class::of(unit.letter) == Class::Word);
    letters.map(|unit| (unit.start, unit.end))
}

struct Tokens<'a> {
    units: Fold<'a>,
    /// Letters that were peeked at and not yet consumed.
    ahead: VecDeque<Unit>,
    /// Pieces of the last word, which are returned next.
    pieces: VecDeque<Token>,
}

impl Tokens<'_> {
    fn take(&mut self) -> Option<Unit> {
        self.ahead.pop_front().or_else(|| self.units.next())
    }

    /// Returns the letter `at` places ahead without consuming it.
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
        // Starts of its pieces, except the first.
        let mut cuts = Vec::new();
        while word.letters < MAX_WORD {
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

    /// Returns the number of letters ahead that belong to a number as further groups of its digits.
    fn grouped(&mut self, first: char) -> usize {
        let Some(mark) =
            self.peek(0).map(|unit| unit.letter).filter(|mark| is_group_separator(*mark))
        else {
            return 0;
        };
        // 0,125 is a fraction.
        if first == '0' {
            return 0;
        }
        let (mut at, mut lengths) = (0, Vec::new());
        while lengths.len() < MAX_GROUPS && self.peek(at).is_some_and(|unit| unit.letter == mark) {
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
        let ends = lengths.len() < MAX_GROUPS && !self.is_ahead(at, Class::Word);
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
        // The letter stays ahead, since it also begins the next pair.
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

/// Letters of a word.
#[derive(Default)]
struct Letters {
    text: String,
    letters: usize,
    /// For each letter: its end in `text`, and its origin.
    parts: Vec<(usize, Unit)>,
}

impl Letters {
    fn push(&mut self, unit: Unit) {
        self.text.push(unit.letter);
        self.letters += 1;
        self.parts.push((self.text.len(), unit));
    }

    /// Returns `true` if it consists of at most `most` digits.
    fn is_number(&self, most: usize) -> bool {
        self.letters <= most && self.text.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns the token of the given letters, at least one.
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

/// Returns `true` if the letter separates groups of digits in some country.
fn is_group_separator(letter: char) -> bool {
    matches!(letter, ',' | '.' | APOSTROPHE | NARROW_SPACE | '\u{66C}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).map(|token| token.text).collect()
    }

    #[test]
    fn words_are_separated_by_other_characters() {
        assert_eq!(
            texts("It is 3.14 — «Ça va?» user_id"),
            ["it", "is", "3", "14", "ca", "va", "user", "id"]
        );
        assert_eq!(texts("привет, мир! नमस्ते"), ["привет", "мир", "नमस्ते"]);
    }

    #[test]
    fn word_with_an_apostrophe_or_non_joiner_has_pieces_at_its_position() {
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
    fn scripts_without_spaces_produce_pairs_and_the_last_letter() {
        assert_eq!(texts("退款政策"), ["退款", "款政", "政策", "策"]);
        assert_eq!(texts("ﾃﾞｰﾀを"), ["でー", "ーた", "たを", "を"]);
        assert_eq!(texts("iPhone手机3月"), ["iphone", "手机", "机", "3", "月"]);
        assert_eq!(texts("환불 정책"), ["환불", "불", "정책", "책"]);
    }

    #[test]
    fn pictures_are_tokens_and_punctuation_is_not() {
        assert_eq!(texts("🦊!👍🏽 ❤️"), ["🦊", "👍", "❤"]);
        assert_eq!(texts(" …—!? ・。''"), [""; 0]);
    }

    #[test]
    fn long_word_is_split_into_tokens_without_loss() {
        assert_eq!(tokens(&"a ".repeat(20_000)).last().unwrap().position, 20_000);
        let long = texts(&"x".repeat(150));
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [64, 64, 22]);
    }

    proptest! {
        #[test]
        fn tokens_follow_the_order_of_the_text(text in "[\\PC'’0-9,\u{200C}می]*") {
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
        fn tokens_contain_no_special_characters_of_postgres(text in any::<String>()) {
            for token in tokens(&text) {
                let special = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric();
                prop_assert!(!token.text.contains(special), "{:?}", token);
                prop_assert!(token.text.len() <= 2_046);
            }
        }
    }
}
