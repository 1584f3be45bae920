//! A search query: terms and their parts. `parse` reads the caller's text.
//!
//! The `tsquery` for Postgres is built from our tokens, so Postgres never parses the caller's text.
//! Its size is limited: Postgres compares the first [`MAX_ROW`] tokens of a row, and the rest
//! is compared here ([`Query::needs_text`]).

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::marks::LONG_MARK;

/// Longest row of tokens that Postgres compares. The documents of a long message overlap by one
/// token less.
pub(super) const MAX_ROW: usize = 64;
/// Shortest part of a word, in letters, that is searched within words.
const SHORTEST_PART: usize = 3;

/// Search query. A match contains every wanted term and no excluded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
    pub(super) forgiven: BTreeSet<IgnoredSyntax>,
}

/// Syntax that was ignored so that a query could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IgnoredSyntax {
    /// Quotation mark without a closing one: the phrase extends to the end.
    UnclosedQuote,
    /// Star that does not follow at least two letters of a word.
    MisplacedStar,
}

/// Word, phrase or prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) excluded: bool,
    /// Text of the term in a query.
    pub(super) written: String,
    /// Rows of adjacent tokens; any of the rows matches the term. There are two for a word that
    /// contains a joiner, such as `می‌خواهم`: the whole word, and its pieces.
    pub(super) rows: Vec<Vec<Part>>,
}

/// Token of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) text: String,
    /// Words that contain it, which match as well.
    pub(super) holders: Vec<String>,
    /// Any word that contains it matches.
    pub(super) within: bool,
    /// Any token that begins with it matches.
    pub(super) prefix: bool,
    /// Distance from the part before it, in positions; 0 for the first.
    pub(super) gap: u32,
    /// `true` for a word, so that words that contain it may match.
    pub(super) word: bool,
}

impl Query {
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|term| !term.excluded)
    }

    fn wanted_parts(&self) -> impl Iterator<Item = &Part> {
        self.wanted().flat_map(|term| &term.rows).flatten()
    }

    /// Returns the query as it was parsed, in query syntax.
    #[must_use]
    pub fn read_as(&self) -> String {
        let terms = self.terms.iter().map(|term| {
            let not = if term.excluded { "-" } else { "" };
            format!("{not}{}", term.written)
        });
        terms.collect::<Vec<_>>().join(" ")
    }

    /// Returns the syntax that was ignored.
    pub fn forgiven(&self) -> impl Iterator<Item = IgnoredSyntax> {
        self.forgiven.iter().copied()
    }

    /// Returns required tokens with their places in the query: a match contains at least one token
    /// of each place.
    #[must_use]
    pub fn required(&self) -> (Vec<i32>, Vec<String>) {
        let mut places: Vec<Vec<&Part>> = Vec::new();
        for term in self.wanted() {
            match &term.rows[..] {
                [row] => places.extend(row.iter().map(|part| vec![part])),
                // One of the rows has to match, and so its first part.
                rows => places.push(rows.iter().filter_map(|row| row.first()).collect()),
            }
        }
        let known = places.iter().filter(|parts| parts.iter().all(|part| !part.prefix));
        (0..)
            .zip(known)
            .flat_map(|(place, parts)| {
                let texts = parts.iter().flat_map(|part| part.texts());
                texts.map(move |text| (place, text.to_owned()))
            })
            .unzip()
    }

    /// Returns the words that may be searched within other words.
    #[must_use]
    pub fn partial(&self) -> Vec<String> {
        let words = self.wanted_parts().filter(|part| part.word && part.is_long_enough());
        let texts: BTreeSet<&String> = words.map(|part| &part.text).collect();
        texts.into_iter().cloned().collect()
    }

    /// Returns the query extended by `holders`: for each word, the words that contain it match as
    /// well. A prefix stays a prefix, also of those words.
    #[must_use]
    pub fn widened(&self, holders: &HashMap<String, Vec<String>>) -> Self {
        let mut widened = self.clone();
        let wanted = widened.terms.iter_mut().filter(|term| !term.excluded);
        for part in wanted.flat_map(|term| &mut term.rows).flatten() {
            if part.word && part.is_long_enough() {
                part.holders = holders.get(&part.text).cloned().unwrap_or_default();
                part.within = true;
            }
        }
        widened
    }

    /// Returns `true` if matches of Postgres have to be compared with the text of the message: a
    /// row is longer than Postgres compares, or the message has several documents (`long`) and the
    /// terms may be in different ones.
    #[must_use]
    pub fn needs_text(&self, long: bool) -> bool {
        (long && self.terms.len() > 1) || self.terms.iter().any(Term::is_cut)
    }

    /// Returns the `tsquery` that a document has to match.
    #[must_use]
    pub fn matching(&self) -> String {
        let terms = self.terms.iter().filter(|term| !(term.excluded && term.is_cut()));
        let terms: Vec<String> = terms
            .map(|term| format!("{}({})", if term.excluded { "!" } else { "" }, term.matching()))
            .collect();
        let all = terms.join(" & ");
        match self.wanted().next() {
            // Another document of a long message may contain what this one lacks.
            Some(first) if self.terms.len() > 1 => {
                format!("(({all}) | ('{LONG_MARK}' & ({})))", first.matching())
            }
            _ => all,
        }
    }

    /// Returns the `tsquery` for ranking: any of the wanted tokens.
    ///
    /// Postgres then adds up how often each token occurs, in time linear in the document; their
    /// proximity would take quadratic time. Words that only contain a wanted word do not count:
    /// Postgres divides by the number of tokens, so that a new such word between two pages would
    /// change the rank of every match.
    #[must_use]
    pub fn ranking(&self) -> String {
        let tokens: BTreeSet<String> =
            self.wanted_parts().filter_map(|part| part.quoted().next()).collect();
        tokens.into_iter().collect::<Vec<_>>().join(" | ")
    }

    /// Returns the `tsquery` for all wanted words in a row, which ranks a message higher. Returns
    /// `None` if there is only one term, or the row would be too long for Postgres.
    #[must_use]
    pub fn in_a_row(&self) -> Option<String> {
        let mut parts: Vec<Part> = Vec::new();
        for row in self.wanted().filter_map(|term| term.rows.first()) {
            let gap = u32::from(!parts.is_empty());
            parts.extend(row.iter().cloned());
            let first = parts.len() - row.len();
            parts[first].gap = gap;
        }
        let plain = parts.iter().all(|part| part.holders.is_empty());
        let fits = self.wanted().nth(1).is_some() && parts.len() <= MAX_ROW;
        (plain && fits).then(|| row_text(&parts))
    }
}

impl Term {
    /// Returns `true` if Postgres compares only the beginning of a row.
    fn is_cut(&self) -> bool {
        self.rows.iter().any(|row| row.len() > MAX_ROW)
    }

    fn matching(&self) -> String {
        let rows = self.rows.iter().map(|row| row_text(&row[..row.len().min(MAX_ROW)]));
        rows.collect::<Vec<_>>().join(" | ")
    }
}

fn row_text(parts: &[Part]) -> String {
    let mut text = String::from("(");
    for part in parts {
        if part.gap > 0 {
            let _ = write!(text, " <{}> ", part.gap);
        }
        let _ = write!(text, "({})", part.quoted().collect::<Vec<_>>().join(" | "));
    }
    text.push(')');
    text
}

impl Part {
    fn texts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.text).chain(&self.holders).map(String::as_str)
    }

    /// Quotes the texts for a `tsquery`. A token contains no quote and no backslash.
    fn quoted(&self) -> impl Iterator<Item = String> {
        let star = if self.prefix { ":*" } else { "" };
        self.texts().map(move |text| format!("'{text}'{star}"))
    }

    fn is_long_enough(&self) -> bool {
        self.text.chars().count() >= SHORTEST_PART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    #[test]
    fn widened_query_still_matches_the_word_itself() {
        let query = query("und -und 退款 ok");
        assert_eq!(query.partial(), ["und"]);
        let holders = HashMap::from([("und".to_owned(), vec!["refund".to_owned(), "undo".into()])]);
        assert_eq!(
            query.widened(&holders).matching(),
            "((((('und' | 'refund' | 'undo'))) & !((('und'))) & ((('退款'))) & ((('ok')))) \
             | ('%' & ((('und' | 'refund' | 'undo')))))"
        );
        assert_eq!(query.widened(&holders).ranking(), query.ranking());
        let prefix = Query::parse("und*").unwrap();
        assert_eq!(prefix.widened(&holders).matching(), "((('und':* | 'refund':* | 'undo':*)))");
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(query.required(), (vec![0, 1, 2], texts(&["und", "退款", "ok"])));
        assert_eq!(
            query.widened(&holders).required(),
            (vec![0, 0, 0, 1, 2], texts(&["und", "refund", "undo", "退款", "ok"]))
        );
    }

    #[test]
    fn size_of_the_tsquery_is_limited() {
        let long = query(&format!("\"{}\" -{}", "退款".repeat(200), "款退".repeat(100)));
        assert_eq!(long.matching().matches("<1>").count(), 2 * (MAX_ROW - 1));
        assert!(long.needs_text(false));
        assert_eq!(long.ranking(), "'款退' | '退款'");
        let many = (0..32).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
        assert!(!query(&many).needs_text(false));
        assert!(query(&many).needs_text(true));
        assert!(!query("refund").needs_text(true));
        assert_eq!(query("gold gold \"gold\" gold").matching(), "((('gold')))");
    }

    #[test]
    fn words_in_a_row_are_ranked_higher() {
        assert_eq!(query("refund -no policy").in_a_row().unwrap(), "(('refund') <1> ('policy'))");
        assert_eq!(query("refund").in_a_row(), None);
        assert_eq!(query(&format!("{} ok", "退款".repeat(40))).in_a_row(), None);
    }
}
