//! A query, as it is run: terms of which each has its parts. `parse` reads what a caller wrote.
//!
//! It is written anew for Postgres from our own tokens, so nothing that a caller writes is ever read
//! by Postgres as a query. What Postgres is given is bounded: of a long row of tokens it compares
//! the first [`LONGEST_ROW`], and the rest is compared here ([`Query::needs_text`]).

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;

use super::document::LONG_MARK;

/// Longest row of tokens that Postgres compares. Documents of a long message overlap by as much.
pub(super) const LONGEST_ROW: usize = 64;
/// Shortest part of a word, in letters, that is looked for within words.
const SHORTEST_PART: usize = 3;

/// What is looked for: every term that is not excluded, and none that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) terms: Vec<Term>,
    pub(super) forgiven: BTreeSet<Forgiven>,
}

/// What was passed over so that a query could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forgiven {
    /// A quotation mark without its other one: the phrase goes on to the end.
    UnclosedQuote,
    /// A star that is not behind two letters of a word.
    StrayStar,
}

/// A word, a phrase, or a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Term {
    pub(super) excluded: bool,
    /// As it is written in a query.
    pub(super) written: String,
    /// Rows of tokens that stand next to each other; any of the rows will do. There are two for a
    /// word with a joiner within, as `می‌خواهم`: the word as one, and its pieces.
    pub(super) rows: Vec<Vec<Part>>,
}

/// A token of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) text: String,
    /// Words that hold it, which will do as well.
    pub(super) holders: Vec<String>,
    /// Any word that holds it will do.
    pub(super) within: bool,
    /// A token that begins so will do.
    pub(super) prefix: bool,
    /// How far it stands behind the part before it; 0 for the first.
    pub(super) gap: u32,
    /// It is a word: one that holds it may be looked for instead.
    pub(super) word: bool,
}

impl Query {
    pub(super) fn wanted(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|term| !term.excluded)
    }

    fn wanted_parts(&self) -> impl Iterator<Item = &Part> {
        self.wanted().flat_map(|term| &term.rows).flatten()
    }

    /// Returns the query as it was read, in the words of a query.
    #[must_use]
    pub fn read_as(&self) -> String {
        let terms = self.terms.iter().map(|term| {
            let not = if term.excluded { "-" } else { "" };
            format!("{not}{}", term.written)
        });
        terms.collect::<Vec<_>>().join(" ")
    }

    /// Returns what was passed over to read it.
    pub fn forgiven(&self) -> impl Iterator<Item = Forgiven> {
        self.forgiven.iter().copied()
    }

    /// Returns tokens of which every match holds one, for each place: the place, and the token.
    #[must_use]
    pub fn required(&self) -> (Vec<i32>, Vec<String>) {
        let mut places: Vec<Vec<&Part>> = Vec::new();
        for term in self.wanted() {
            match &term.rows[..] {
                [row] => places.extend(row.iter().map(|part| vec![part])),
                // One of the rows, and so its first part.
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

    /// Returns words that may be looked for within other words.
    #[must_use]
    pub fn partial(&self) -> Vec<String> {
        let words = self.wanted_parts().filter(|part| part.word && part.is_long_enough());
        let texts: BTreeSet<&String> = words.map(|part| &part.text).collect();
        texts.into_iter().cloned().collect()
    }

    /// Returns the same query that takes the words that hold a word for it, too. A prefix remains
    /// one, and theirs hold it, too.
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

    /// Says whether what Postgres finds has to be compared with the text of the message: a row is
    /// longer than Postgres compares, or the message has several documents (`long`) and the terms
    /// may stand in different ones.
    #[must_use]
    pub fn needs_text(&self, long: bool) -> bool {
        (long && self.terms.len() > 1) || self.terms.iter().any(Term::is_cut)
    }

    /// Returns what a document is to match, as a `tsquery`.
    #[must_use]
    pub fn matching(&self) -> String {
        let terms = self.terms.iter().filter(|term| !(term.excluded && term.is_cut()));
        let terms: Vec<String> = terms
            .map(|term| format!("{}({})", if term.excluded { "!" } else { "" }, term.matching()))
            .collect();
        let all = terms.join(" & ");
        match self.wanted().next() {
            // What a document of a long message lacks may stand in another one.
            Some(first) if self.terms.len() > 1 => {
                format!("(({all}) | ('{LONG_MARK}' & ({})))", first.matching())
            }
            _ => all,
        }
    }

    /// Returns what a match is ranked by: the tokens that are wanted, any of them. So Postgres adds
    /// up how often each of them is said, which takes no longer than reading the document; how near
    /// they are to each other would take the square of that. Words that merely hold a word do not
    /// count: Postgres divides by the number of tokens, and as many of them as come to be said
    /// between two pages would move every match.
    #[must_use]
    pub fn ranking(&self) -> String {
        let tokens: BTreeSet<String> =
            self.wanted_parts().filter_map(|part| part.quoted().next()).collect();
        tokens.into_iter().collect::<Vec<_>>().join(" | ")
    }

    /// Returns the words that are wanted, one after the other: a message that has them so is ranked
    /// higher. `None` where that says nothing, or would have to be cut.
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
        let fits = self.wanted().nth(1).is_some() && parts.len() <= LONGEST_ROW;
        (plain && fits).then(|| row_text(&parts))
    }
}

impl Term {
    /// Says whether Postgres compares only the beginning of a row.
    fn is_cut(&self) -> bool {
        self.rows.iter().any(|row| row.len() > LONGEST_ROW)
    }

    fn matching(&self) -> String {
        let rows = self.rows.iter().map(|row| row_text(&row[..row.len().min(LONGEST_ROW)]));
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

    /// A token holds neither quote nor backslash.
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
    fn a_word_stays_among_those_that_hold_it() {
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
    fn what_postgres_compares_is_bounded_whatever_is_asked() {
        let long = query(&format!("\"{}\" -{}", "退款".repeat(200), "款退".repeat(100)));
        assert_eq!(long.matching().matches("<1>").count(), 2 * (LONGEST_ROW - 1));
        assert!(long.needs_text(false));
        assert_eq!(long.ranking(), "'款退' | '退款'");
        let many = (0..32).map(|n| format!("a{n}")).collect::<Vec<_>>().join(" ");
        assert!(!query(&many).needs_text(false));
        assert!(query(&many).needs_text(true));
        assert!(!query("refund").needs_text(true));
        assert_eq!(query("gold gold \"gold\" gold").matching(), "((('gold')))");
    }

    #[test]
    fn words_in_their_order_count_for_more() {
        assert_eq!(query("refund -no policy").in_a_row().unwrap(), "(('refund') <1> ('policy'))");
        assert_eq!(query("refund").in_a_row(), None);
        assert_eq!(query(&format!("{} ok", "退款".repeat(40))).in_a_row(), None);
    }
}
