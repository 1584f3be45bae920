//! Parser of a caller's query: words, `"phrases"`, `-exclusions`, `prefix*`. It ignores an unclosed
//! quotation mark, and a star that does not follow a word.

use std::collections::{BTreeSet, HashSet};

use super::query::{IgnoredSyntax, Part, Query, Term};
use super::tokens::{Token, TokenKind, tokens};

/// Longest query, in letters.
const LONGEST: usize = 1_000;
/// Most words, phrases and exclusions: each costs an index lookup.
const MAX_TERMS: usize = 32;
/// Shortest prefix, in letters: a shorter one would match a tenth of all words.
const SHORTEST_PREFIX: usize = 2;

/// Reason for rejecting a query, with a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// All terms are excluded.
    #[error("contains only exclusions; add a word to search for")]
    OnlyExclusions,
    /// There is no term.
    #[error("contains no word; add a word to search for")]
    Empty,
    /// The query exceeds a limit.
    #[error("is too long; it may have {LONGEST} letters and {MAX_TERMS} words or phrases")]
    TooLong,
}

impl Query {
    /// Parses the text of a caller.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.chars().count() > LONGEST {
            return Err(QueryError::TooLong);
        }
        let mut read = Reading::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (excluded, unsigned) = match rest.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, rest),
            };
            rest = match unsigned.strip_prefix(is_quote) {
                Some(quoted) => read.phrase(excluded, quoted),
                None => read.word(excluded, unsigned),
            }
            .trim_start();
        }
        let Reading { terms, forgiven, .. } = read;
        match terms.iter().all(|term| term.excluded) {
            _ if terms.len() > MAX_TERMS => Err(QueryError::TooLong),
            true if terms.is_empty() => Err(QueryError::Empty),
            true => Err(QueryError::OnlyExclusions),
            false => Ok(Self { terms, forgiven }),
        }
    }
}

fn is_quote(letter: char) -> bool {
    matches!(letter, '"' | '“' | '”' | '„' | '＂')
}

fn is_star(letter: char) -> bool {
    matches!(letter, '*' | '＊')
}

/// Terms parsed so far.
#[derive(Default)]
struct Reading {
    terms: Vec<Term>,
    /// Content of the terms, to skip duplicates.
    known: HashSet<(bool, Vec<Vec<Part>>)>,
    forgiven: BTreeSet<IgnoredSyntax>,
}

impl Reading {
    /// Adds a term, unless it is a duplicate or has no tokens, such as a dash.
    fn add(&mut self, excluded: bool, written: String, rows: Vec<Vec<Part>>) {
        if !rows.iter().all(Vec::is_empty) && self.known.insert((excluded, rows.clone())) {
            self.terms.push(Term { excluded, written, rows });
        }
    }

    /// Parses a phrase, and returns the rest.
    fn phrase<'a>(&mut self, excluded: bool, quoted: &'a str) -> &'a str {
        let (inside, after) = quoted.split_once(is_quote).unwrap_or_else(|| {
            self.forgiven.insert(IgnoredSyntax::UnclosedQuote);
            (quoted, "")
        });
        self.add(excluded, format!("\"{}\"", inside.trim()), vec![parts(inside)]);
        after
    }

    /// Parses a word, which may have several parts (`twenty-one`), and returns the rest.
    fn word<'a>(&mut self, excluded: bool, text: &'a str) -> &'a str {
        let end = text.find(|c: char| c.is_whitespace() || is_quote(c)).unwrap_or(text.len());
        let (text, after) = text.split_at(end);
        let stem = text.trim_end_matches(is_star);
        let stars = text[stem.len()..].chars().count();
        let mut pieces = stem.split(is_star).filter(|piece| !piece.is_empty()).peekable();
        let mut misplaced = stem.contains(is_star) || stars > 1 || (stars > 0 && stem.is_empty());
        while let Some(piece) = pieces.next() {
            let mut rows = rows(piece);
            let starred = stars > 0 && pieces.peek().is_none();
            let prefix = starred && make_prefix(piece, &mut rows);
            misplaced |= starred && !prefix;
            let star = if prefix { "*" } else { "" };
            // A leading dash would exclude the term.
            let written = format!("{}{star}", piece.trim_start_matches('-'));
            self.add(excluded, written, rows);
        }
        if misplaced {
            self.forgiven.insert(IgnoredSyntax::MisplacedStar);
        }
        after
    }
}

/// Makes the last part of each row a prefix; returns `false` if that is not possible. In a script
/// without spaces a row always matches longer text.
fn make_prefix(piece: &str, rows: &mut [Vec<Part>]) -> bool {
    let fits = |part: &Part| !part.word || part.text.chars().count() >= SHORTEST_PREFIX;
    let fit = piece.ends_with(|c: char| c.is_alphanumeric())
        && rows.iter().all(|row| row.last().is_some_and(fits));
    for part in rows.iter_mut().filter_map(|row| row.last_mut()).filter(|part| fit && part.word) {
        part.prefix = true;
    }
    fit
}

/// Returns the rows of a word. If it is one token with pieces, the second row has the pieces.
fn rows(text: &str) -> Vec<Vec<Part>> {
    let all: Vec<Token> = tokens(text).collect();
    let pieces = all.iter().filter(|token| token.kind == TokenKind::Piece);
    let apart: Vec<Part> = (0..)
        .zip(pieces)
        .map(|(place, piece)| Part { gap: u32::from(place > 0), ..part(piece) })
        .collect();
    let mut rows = vec![parts(text)];
    if !apart.is_empty() && rows[0].len() == 1 {
        rows.push(apart);
    }
    rows
}

/// Returns the tokens of a text as one row.
fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut before: Option<Token> = None;
    for token in tokens(text).filter(|token| token.kind != TokenKind::Piece) {
        let follows_pair = before.as_ref().is_some_and(|before| before.kind == TokenKind::Pair);
        if token.kind == TokenKind::Last && follows_pair {
            // The pair before it contains it, and in the message further letters may follow.
            continue;
        }
        let gap = before.as_ref().map_or(0, |before| token.position - before.position);
        parts.push(Part { gap, ..part(&token) });
        before = Some(token);
    }
    parts
}

fn part(token: &Token) -> Part {
    Part {
        text: token.text.clone(),
        holders: Vec::new(),
        within: false,
        prefix: token.kind == TokenKind::Last,
        gap: 0,
        word: matches!(token.kind, TokenKind::Word | TokenKind::Piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the `tsquery` of each term.
    fn terms(text: &str) -> Vec<String> {
        let query = Query::parse(text).unwrap();
        let alone = |term: &Term| {
            let wanted = Term { excluded: false, ..term.clone() };
            let alone = Query { terms: vec![wanted], forgiven: BTreeSet::new() };
            format!("{}{}", if term.excluded { "-" } else { "" }, alone.matching())
        };
        query.terms.iter().map(alone).collect()
    }

    #[test]
    fn words_phrases_exclusions_and_prefixes_are_recognized() {
        assert_eq!(
            terms(r#"Refund "the POLICY, please" -spam -"no thanks" deliv*"#),
            [
                "((('refund')))",
                "((('the') <1> ('policy') <1> ('please')))",
                "-((('spam')))",
                "-((('no') <1> ('thanks')))",
                "((('deliv':*)))",
            ]
        );
        assert_eq!(terms("twenty-on*"), ["((('twenty') <1> ('on':*)))"]);
        assert_eq!(terms("a - b"), ["((('a')))", "((('b')))"]);
        assert_eq!(terms("“ja” „nein”"), ["((('ja')))", "((('nein')))"]);
        assert_eq!(terms("don’t"), ["((('dont')) | (('don') <1> ('t')))"]);
        assert_eq!(terms("\"don't go\""), ["((('dont') <1> ('go')))"]);
        assert_eq!(terms("100,000"), ["((('100000')) | (('100') <1> ('000')))"]);
    }

    #[test]
    fn terms_in_scripts_without_spaces_are_rows_of_pairs() {
        assert_eq!(terms("退款"), ["((('退款')))"]);
        assert_eq!(terms("退款政策"), ["((('退款') <1> ('款政') <1> ('政策')))"]);
        assert_eq!(terms("退"), ["((('退':*)))"]);
        assert_eq!(terms("\"退款 政策\""), ["((('退款') <2> ('政策')))"]);
        assert_eq!(terms("iPhone手机"), ["((('iphone') <1> ('手机')))"]);
    }

    #[test]
    fn ignored_syntax_is_reported() {
        use IgnoredSyntax::{MisplacedStar, UnclosedQuote};
        for (text, read_as, forgiven) in [
            ("refund \"the policy", "refund \"the policy\"", vec![UnclosedQuote]),
            ("-\"no  thanks refund", "", vec![]),
            ("refund\"", "refund", vec![UnclosedQuote]),
            ("re*fund", "re fund", vec![MisplacedStar]),
            ("* refund", "refund", vec![MisplacedStar]),
            ("*fund", "fund", vec![MisplacedStar]),
            ("refund**", "refund*", vec![MisplacedStar]),
            ("r*", "r", vec![MisplacedStar]),
            ("a-* b", "a- b", vec![MisplacedStar]),
            ("退款*", "退款*", vec![]),
            ("\"refund*\" \"", "\"refund*\"", vec![UnclosedQuote]),
            ("Refund -- REFUND  -Spam deliv*", "Refund -Spam deliv*", vec![]),
        ] {
            match Query::parse(text) {
                Ok(query) => {
                    assert_eq!(query.read_as(), read_as, "{text}");
                    assert_eq!(query.forgiven().collect::<Vec<_>>(), forgiven, "{text}");
                    let again = Query::parse(&query.read_as()).unwrap();
                    assert_eq!(again.terms, query.terms, "{text}");
                }
                Err(error) => assert_eq!((error, read_as), (QueryError::OnlyExclusions, "")),
            }
        }
    }

    #[test]
    fn query_without_a_wanted_word_is_rejected_with_a_hint() {
        for (text, error) in [
            ("-spam", QueryError::OnlyExclusions),
            ("-\"no thanks\" -spam", QueryError::OnlyExclusions),
            ("", QueryError::Empty),
            (" … -- ", QueryError::Empty),
            ("\"\"", QueryError::Empty),
            ("\"", QueryError::Empty),
            ("*", QueryError::Empty),
        ] {
            assert_eq!(Query::parse(text), Err(error), "{text}");
        }
        let many = (0..33).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(Query::parse(&many), Err(QueryError::TooLong));
        assert_eq!(Query::parse(&"a".repeat(1_001)), Err(QueryError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected(text in "[\\PC\"*' -]*") {
            if let Ok(query) = Query::parse(&text) {
                prop_assert!(!query.ranking().is_empty());
                prop_assert_eq!(query.matching().matches('\'').count() % 2, 0);
                let again = Query::parse(&query.read_as()).unwrap();
                prop_assert_eq!(again.matching(), query.matching());
            }
        }
    }
}
