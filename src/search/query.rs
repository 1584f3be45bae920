//! What a caller asks: words, `"phrases"`, `-exclusions`, `prefix*`.
//!
//! A query is read here and written anew for Postgres from our own tokens, so nothing that a caller
//! writes is ever read by Postgres as a query.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::tokens::{Token, TokenKind, tokens};

/// Longest query, in letters.
const LONGEST: usize = 1_000;
/// Most words, phrases and exclusions: each costs a look into the index.
const MOST_TERMS: usize = 32;
/// Shortest beginning of a word, in letters: a shorter one is that of a tenth of all words.
const SHORTEST_PREFIX: usize = 2;
/// Shortest part of a word, in letters, that is looked for within words.
const SHORTEST_PART: usize = 3;

/// What is looked for: every term that is not excluded, and none that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
}

/// Tokens that stand next to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    excluded: bool,
    pub(super) parts: Vec<Part>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Any of these. It is one, unless the parts of words are looked for.
    pub(super) texts: Vec<String>,
    /// A token that begins so will do.
    pub(super) prefix: bool,
    /// How far it stands behind the part before it; 0 for the first.
    pub(super) gap: u16,
    /// It is a word: one that holds it may be looked for instead.
    word: bool,
}

/// Why a query cannot be run, and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// A phrase has no end.
    #[error("has a quotation mark without its other one; close the phrase, or leave the mark out")]
    Unclosed,
    /// A star stands elsewhere than at the end of a word.
    #[error(
        "has a `*` that does not stand at the end of a word: `refund*` finds what begins so. Parts \
         of words are found without one, where no whole word matches"
    )]
    Star,
    /// A prefix is too short.
    #[error("has a `*` after a single letter; give at least {SHORTEST_PREFIX}")]
    ShortPrefix,
    /// There is nothing that is wanted.
    #[error("only says what is not wanted; add a word that is")]
    OnlyExclusions,
    /// There is nothing at all.
    #[error("holds nothing to look for; give it a word")]
    Empty,
    /// Too much.
    #[error("is too long; it may have {LONGEST} letters and {MOST_TERMS} words or phrases")]
    TooLong,
}

impl Query {
    /// Reads what a caller wrote.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.chars().count() > LONGEST {
            return Err(QueryError::TooLong);
        }
        let mut terms = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (excluded, unsigned) = match rest.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, rest),
            };
            let (parts, after) = match unsigned.strip_prefix(is_quote) {
                Some(quoted) => phrase(quoted)?,
                None => word(unsigned)?,
            };
            // What holds no letter, a dash for one, asks for nothing.
            if !parts.is_empty() {
                terms.push(Term { excluded, parts });
            }
            rest = after.trim_start();
        }
        match terms.iter().all(|term| term.excluded) {
            _ if terms.len() > MOST_TERMS => Err(QueryError::TooLong),
            true if terms.is_empty() => Err(QueryError::Empty),
            true => Err(QueryError::OnlyExclusions),
            false => Ok(Self { terms }),
        }
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|term| !term.excluded)
    }

    /// Tokens of which every match holds one, for each part: the part's place, and the token.
    #[must_use]
    pub fn required(&self) -> (Vec<i32>, Vec<String>) {
        let parts = self.wanted().flat_map(|term| &term.parts).filter(|part| !part.prefix);
        (0..)
            .zip(parts)
            .flat_map(|(place, part)| part.texts.iter().map(move |text| (place, text.clone())))
            .unzip()
    }

    /// Words that may be looked for within other words.
    #[must_use]
    pub fn partial(&self) -> Vec<String> {
        let words = self.wanted().flat_map(|term| &term.parts).filter(|part| part.word);
        let texts: BTreeSet<_> = words.flat_map(|part| &part.texts).collect();
        texts.into_iter().filter(|text| text.chars().count() >= SHORTEST_PART).cloned().collect()
    }

    /// The same with the words that hold a word beside it. A prefix remains one, and theirs hold it,
    /// too.
    #[must_use]
    pub fn widened(&self, holders: &HashMap<String, Vec<String>>) -> Self {
        let mut widened = self.clone();
        let wanted = widened.terms.iter_mut().filter(|term| !term.excluded);
        for part in wanted.flat_map(|term| &mut term.parts).filter(|part| part.word) {
            if let Some(wider) = part.texts.first().and_then(|text| holders.get(text)) {
                part.texts.extend_from_slice(wider);
            }
        }
        widened
    }

    /// Whether some word has several others in its place.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.wanted().flat_map(|term| &term.parts).any(|part| part.texts.len() > 1)
    }

    /// What is to match, as a `tsquery`.
    #[must_use]
    pub fn matching(&self) -> String {
        let terms = self.terms.iter().map(|term| {
            let not = if term.excluded { "!" } else { "" };
            format!("{not}({})", term.text())
        });
        terms.collect::<Vec<_>>().join(" & ")
    }

    /// What a match is ranked by: what is wanted.
    #[must_use]
    pub fn ranking(&self) -> String {
        let terms = self.wanted().map(|term| format!("({})", term.text()));
        terms.collect::<Vec<_>>().join(" & ")
    }
}

impl Term {
    fn text(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            if part.gap > 0 {
                let _ = write!(text, " <{}> ", part.gap);
            }
            let star = if part.prefix { ":*" } else { "" };
            // A token holds neither quote nor backslash.
            let texts: Vec<_> = part.texts.iter().map(|text| format!("'{text}'{star}")).collect();
            let _ = write!(text, "({})", texts.join(" | "));
        }
        text
    }
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '“' | '”' | '„' | '＂')
}

fn is_star(letter: char) -> bool {
    matches!(letter, '*' | '＊')
}

/// The parts of a phrase, and what comes behind it.
fn phrase(quoted: &str) -> Result<(Vec<Part>, &str), QueryError> {
    let (inside, after) = quoted.split_once(is_quote).ok_or(QueryError::Unclosed)?;
    Ok((parts(inside), after))
}

/// The parts of a word, which may be several, as in `twenty-one`; and what comes behind it.
fn word(text: &str) -> Result<(Vec<Part>, &str), QueryError> {
    let end = text.find(|c: char| c.is_whitespace() || is_quote(c)).unwrap_or(text.len());
    let (text, after) = text.split_at(end);
    let Some(stem) = text.strip_suffix(is_star) else {
        return if text.contains(is_star) {
            Err(QueryError::Star)
        } else {
            Ok((parts(text), after))
        };
    };
    let mut parts = parts(stem);
    let ends_in_letter = stem.ends_with(|c: char| c.is_alphanumeric());
    let last = parts.last_mut().filter(|_| ends_in_letter && !stem.contains(is_star));
    let last = last.ok_or(QueryError::Star)?;
    if last.word {
        if last.texts.iter().any(|text| text.chars().count() < SHORTEST_PREFIX) {
            return Err(QueryError::ShortPrefix);
        }
        last.prefix = true;
    }
    Ok((parts, after))
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut before: Option<Token> = None;
    for token in tokens(text) {
        let follows_pair = before.as_ref().is_some_and(|before| before.kind == TokenKind::Pair);
        if token.kind == TokenKind::Last && follows_pair {
            // The pair before it has it; and further letters may follow in what is looked for.
            continue;
        }
        let gap = before.as_ref().map_or(0, |before| token.position - before.position);
        parts.push(Part {
            texts: vec![token.text.clone()],
            prefix: token.kind == TokenKind::Last,
            gap,
            word: token.kind == TokenKind::Word,
        });
        before = Some(token);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matching(text: &str) -> String {
        Query::parse(text).unwrap().matching()
    }

    #[test]
    fn words_phrases_exclusions_and_prefixes_are_told_apart() {
        assert_eq!(
            matching(r#"Refund "the POLICY, please" -spam -"no thanks" deliv*"#),
            "(('refund')) & (('the') <1> ('policy') <1> ('please')) & !(('spam')) \
             & !(('no') <1> ('thanks')) & (('deliv':*))"
        );
        assert_eq!(matching("twenty-on*"), "(('twenty') <1> ('on':*))");
        assert_eq!(matching("a - b"), "(('a')) & (('b'))");
        assert_eq!(matching("“ja” „nein”"), "(('ja')) & (('nein'))");
    }

    #[test]
    fn terms_in_scripts_without_spaces_are_rows_of_pairs() {
        assert_eq!(matching("退款"), "(('退款'))");
        assert_eq!(matching("退款政策"), "(('退款') <1> ('款政') <1> ('政策'))");
        assert_eq!(matching("退"), "(('退':*))");
        assert_eq!(matching("\"退款 政策\""), "(('退款') <2> ('政策'))");
        assert_eq!(matching("iPhone手机"), "(('iphone') <1> ('手机'))");
    }

    #[test]
    fn what_is_no_query_is_refused_with_what_to_do() {
        for (text, error) in [
            ("\"open", QueryError::Unclosed),
            ("re*fund", QueryError::Star),
            ("*", QueryError::Star),
            ("*fund", QueryError::Star),
            ("refund**", QueryError::Star),
            ("re* fu*nd", QueryError::Star),
            ("r*", QueryError::ShortPrefix),
            ("-spam", QueryError::OnlyExclusions),
            ("-\"no thanks\" -spam", QueryError::OnlyExclusions),
            ("", QueryError::Empty),
            (" … -- ", QueryError::Empty),
            ("\"\"", QueryError::Empty),
        ] {
            assert_eq!(Query::parse(text), Err(error), "{text}");
        }
        assert_eq!(Query::parse(&"a ".repeat(33)), Err(QueryError::TooLong));
        assert_eq!(Query::parse(&"a".repeat(1_001)), Err(QueryError::TooLong));
    }

    #[test]
    fn a_word_stays_among_those_that_hold_it() {
        let query = Query::parse("und -und 退款 ok").unwrap();
        assert_eq!(query.partial(), ["und"]);
        let holders = HashMap::from([("und".to_owned(), vec!["refund".to_owned(), "undo".into()])]);
        assert_eq!(
            query.widened(&holders).matching(),
            "(('und' | 'refund' | 'undo')) & !(('und')) & (('退款')) & (('ok'))"
        );
        let prefix = Query::parse("und*").unwrap();
        assert_eq!(prefix.widened(&holders).matching(), "(('und':* | 'refund':* | 'undo':*))");
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(query.required(), (vec![0, 1, 2], texts(&["und", "退款", "ok"])));
        assert_eq!(
            query.widened(&holders).required(),
            (vec![0, 0, 0, 1, 2], texts(&["und", "refund", "undo", "退款", "ok"]))
        );
    }

    proptest! {
        #[test]
        fn whatever_is_asked_is_read_or_refused(text in "[\\PC\"* -]*") {
            if let Ok(query) = Query::parse(&text) {
                prop_assert!(!query.ranking().is_empty());
                prop_assert_eq!(query.matching().matches('\'').count() % 2, 0);
            }
        }
    }
}
