//! Text → tokens, the same for what is searched and for what is asked.
//!
//! Scripts that put spaces between words give words. The others (Chinese, Japanese, Thai …) give
//! overlapping pairs of letters, and the last letter alone: a term of two letters is one token, a
//! longer one a row of pairs, and one letter alone is found as the beginning of a pair. Korean is
//! among them: its words are written together with their endings.

use unicode_normalization::char::is_combining_mark;

use super::fold::{Fold, Unit, fold};

/// Most tokens of a text, which is some ten thousand words: Postgres keeps no position beyond
/// 16,383. What comes after is not searched.
pub(super) const MOST_TOKENS: u16 = 16_000;
/// Longest word, in letters; of a longer one these are its token. Postgres takes 2,046 bytes.
const LONGEST_WORD: usize = 64;

/// What can be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// As it is compared.
    pub text: String,
    /// What it is.
    pub kind: TokenKind,
    /// Its place in the text, counted from one without a gap.
    pub position: u16,
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
    /// Two letters of a script without spaces.
    Pair,
    /// The last letter of a run in such a script.
    Last,
    /// A picture.
    Symbol,
}

/// The tokens of a text.
pub fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let tokens = Tokens { units: fold(text), ahead: None };
    (1..=MOST_TOKENS).zip(tokens).map(|(position, token)| Token { position, ..token })
}

struct Tokens<'a> {
    units: Fold<'a>,
    ahead: Option<Unit>,
}

impl Tokens<'_> {
    fn take(&mut self) -> Option<Unit> {
        self.ahead.take().or_else(|| self.units.next())
    }

    /// The next letter, if it is of this class; else it stays.
    fn take_if(&mut self, class: Class) -> Option<Unit> {
        self.ahead = self.take();
        self.ahead.take_if(|unit| Class::of(unit.letter) == class)
    }

    fn word(&mut self, first: Unit) -> Token {
        let (mut text, mut letters, mut end) = (String::from(first.letter), 1, first.end);
        while let Some(unit) = self.take_if(Class::Word) {
            end = unit.end;
            if letters < LONGEST_WORD {
                text.push(unit.letter);
                letters += 1;
            }
        }
        Token { text, kind: TokenKind::Word, position: 0, start: first.start, head_end: end, end }
    }

    fn pair(&mut self, first: Unit) -> Token {
        let Unit { letter, start, end } = first;
        let mut text = String::from(letter);
        match self.take_if(Class::Unspaced) {
            None => Token { text, kind: TokenKind::Last, position: 0, start, head_end: end, end },
            Some(next) => {
                // It begins the next pair.
                self.ahead = Some(next);
                text.push(next.letter);
                let kind = TokenKind::Pair;
                Token { text, kind, position: 0, start, head_end: end, end: next.end }
            }
        }
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
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
                Class::Separator => {}
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Unspaced,
    Symbol,
    Separator,
}

impl Class {
    fn of(letter: char) -> Self {
        match letter {
            '0'..='9' | 'a'..='z' => Self::Word,
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
            texts("It's 3.14 — «Ça va?» user_id"),
            ["it", "s", "3", "14", "ca", "va", "user", "id"]
        );
        assert_eq!(texts("привет, мир! नमस्ते"), ["привет", "мир", "नमस्ते"]);
    }

    #[test]
    fn scripts_without_spaces_give_pairs_and_the_last_letter() {
        assert_eq!(texts("退款政策"), ["退款", "款政", "政策", "策"]);
        assert_eq!(texts("ﾃﾞｰﾀを"), ["デー", "ータ", "タを", "を"]);
        assert_eq!(texts("iPhone手机3月"), ["iphone", "手机", "机", "3", "月"]);
        assert_eq!(texts("환불 정책"), ["환불", "불", "정책", "책"]);
    }

    #[test]
    fn pictures_are_tokens_and_punctuation_is_none() {
        assert_eq!(texts("🦊!👍🏽 ❤️"), ["🦊", "👍", "❤"]);
        assert_eq!(texts(" …—!? ・。"), [""; 0]);
    }

    #[test]
    fn a_long_text_and_a_long_word_are_cut() {
        assert_eq!(tokens(&"a ".repeat(20_000)).count(), usize::from(MOST_TOKENS));
        assert_eq!(texts(&"x".repeat(5_000))[0].len(), LONGEST_WORD);
    }

    proptest! {
        #[test]
        fn tokens_stand_in_the_order_of_the_text(text in "\\PC*") {
            let mut before = 0;
            for (place, token) in (1..).zip(tokens(&text)) {
                prop_assert_eq!(token.position, place);
                prop_assert!(!token.text.is_empty());
                prop_assert!(token.start >= before);
                prop_assert!(token.start < token.head_end && token.head_end <= token.end);
                prop_assert!(text.get(token.start..token.end).is_some());
                prop_assert!(text.get(token.start..token.head_end).is_some());
                before = token.start;
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
