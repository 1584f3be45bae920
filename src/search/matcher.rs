//! Compares a query with a text in one pass with constant time per token, even for repetitive
//! texts: all rows of the query advance in parallel, with a bit for each part (shift-and
//! algorithm).

use std::collections::HashMap;
use std::ops::Range;

use super::query::{Part, Query, Term};
use super::tokens::{Token, TokenKind, letters_of, tokens};

/// Number of bits of a word of the state.
const BITS: usize = u64::BITS as usize;

impl Query {
    /// Returns `true` if a text contains every wanted term and no excluded one.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut found = vec![false; self.terms.len()];
        let tokens: Vec<Token> = tokens(text).collect();
        Matcher::new(self).run(&tokens, |term, _| found[term] = true);
        self.terms.iter().zip(found).all(|(term, found)| term.excluded != found)
    }

    /// Returns the byte ranges of the wanted terms in a text, unordered. Most overlapping ranges
    /// are merged.
    pub(super) fn hits(&self, text: &str) -> Vec<Range<usize>> {
        let mut hits = Vec::new();
        // The longest of the rows that end at the same position contains the others.
        let mut longest: Option<Found<'_>> = None;
        let (tokens, matcher): (Vec<Token>, _) = (tokens(text).collect(), Matcher::new(self));
        matcher.run(&tokens, |term, found| {
            if self.terms[term].excluded {
                return;
            }
            if found.parts.len() == 1 {
                mark(text, &found, &mut hits);
                return;
            }
            match &longest {
                Some(one) if one.place == found.place && one.length >= found.length => {}
                Some(one) if one.place == found.place => longest = Some(found),
                _ => {
                    if let Some(one) = longest.replace(found) {
                        mark(text, &one, &mut hits);
                    }
                }
            }
        });
        if let Some(one) = longest {
            mark(text, &one, &mut hits);
        }
        hits
    }
}

/// Row of the query at its position in the text.
struct Found<'a> {
    parts: &'a [Part],
    /// Position of its end, and number of its positions.
    place: usize,
    length: usize,
    /// Tokens at its first and at its last position.
    first: &'a [Token],
    last: &'a [Token],
}

/// Appends the hits of a row: from the start of its first part to the end of its last one. Of a
/// word, only the matching part is a hit.
fn mark(text: &str, found: &Found<'_>, hits: &mut Vec<Range<usize>>) {
    let ends = |parts: Option<&Part>, tokens: &[Token]| {
        let part = parts?;
        let token = tokens.iter().find(|token| fits(part, &token.text))?;
        Some(marks(text, part, token))
    };
    let first = ends(found.parts.first(), found.first).unwrap_or_default();
    if found.parts.len() == 1 {
        for hit in first {
            add(hit, hits);
        }
        return;
    }
    let last = ends(found.parts.last(), found.last).unwrap_or_default();
    if let (Some(first), Some(last)) = (first.first(), last.last()) {
        add(first.start..last.end, hits);
    }
}

/// Appends a hit and merges it with previous hits that it overlaps, so that a repetitive text has
/// at most one hit per position.
fn add(mut hit: Range<usize>, hits: &mut Vec<Range<usize>>) {
    while let Some(last) = hits.pop_if(|last| last.start < hit.end && hit.start < last.end) {
        hit = hit.start.min(last.start)..hit.end.max(last.end);
    }
    hits.push(hit);
}

/// Returns the ranges of a token that match a part of the query.
fn marks(text: &str, part: &Part, token: &Token) -> Vec<Range<usize>> {
    let whole = token.start..token.end;
    if !part.word || token.text == part.text {
        // A single letter of a script without spaces is the beginning of a pair.
        let one_letter = part.prefix && token.kind == TokenKind::Pair;
        return vec![if one_letter { token.start..token.head_end } else { whole }];
    }
    let letters: Vec<_> = letters_of(&text[whole.clone()]).collect();
    let length = part.text.chars().count();
    let most = if part.within { usize::MAX } else { 1 };
    let mut marks: Vec<Range<usize>> = Vec::new();
    let (mut at, mut before) = (0, 0);
    for (place, _) in token.text.match_indices(&part.text).take(most) {
        before += token.text[at..place].chars().count();
        at = place;
        let letters =
            letters.get(before..).and_then(|rest| Some((rest.first()?, rest.get(length - 1)?)));
        marks.extend(letters.map(|(first, last)| token.start + first.0..token.start + last.1));
    }
    if marks.is_empty() { vec![whole] } else { marks }
}

/// Returns `true` if a token matches a part of the query.
fn fits(part: &Part, token: &str) -> bool {
    if part.within {
        token.contains(&part.text)
    } else if part.prefix {
        token.starts_with(&part.text)
    } else {
        token == part.text
    }
}

/// All rows of a query, with a bit for each position of each row.
struct Matcher<'q> {
    /// Rows, with the term and the number of positions of each.
    rows: Vec<(usize, &'q [Part], usize)>,
    /// Row of each bit.
    row_of: Vec<usize>,
    exact: HashMap<&'q str, Vec<usize>>,
    /// Parts that more than one token matches.
    loose: Vec<(&'q Part, usize)>,
    /// Positions that any token matches: the gaps of a row.
    any: Vec<u64>,
    first: Vec<u64>,
    last: Vec<u64>,
}

impl<'q> Matcher<'q> {
    fn new(query: &'q Query) -> Self {
        let length =
            |row: &Vec<Part>| row.iter().map(|part| part.gap.max(1) as usize).sum::<usize>();
        let bits: usize = query.terms.iter().flat_map(|term| &term.rows).map(length).sum();
        let none = || vec![0_u64; bits.div_ceil(BITS).max(1)];
        let mut matcher = Self {
            rows: Vec::new(),
            row_of: Vec::with_capacity(bits),
            exact: HashMap::new(),
            loose: Vec::new(),
            any: none(),
            first: none(),
            last: none(),
        };
        let mut bit = 0;
        for (term, Term { rows, .. }) in query.terms.iter().enumerate() {
            for row in rows.iter().filter(|row| !row.is_empty()) {
                set(&mut matcher.first, bit);
                for (place, part) in row.iter().enumerate() {
                    for _ in 1..part.gap.max(1) {
                        set(&mut matcher.any, bit);
                        bit += 1;
                    }
                    if part.within || part.prefix {
                        matcher.loose.push((part, bit));
                    } else {
                        matcher.exact.entry(&part.text).or_default().push(bit);
                    }
                    if place + 1 == row.len() {
                        set(&mut matcher.last, bit);
                    }
                    bit += 1;
                }
                matcher.row_of.resize(bit, matcher.rows.len());
                matcher.rows.push((term, row, length(row)));
            }
        }
        matcher
    }

    /// Reads the tokens of a text, and reports each row of each term at its end.
    fn run<'a>(&'a self, tokens: &'a [Token], mut report: impl FnMut(usize, Found<'a>)) {
        // Index of the first token of each position.
        let places: Vec<usize> = (0..tokens.len())
            .filter(|at| *at == 0 || tokens[*at].position != tokens[at - 1].position)
            .collect();
        let at_place = |place: usize| {
            let end = places.get(place + 1).copied().unwrap_or(tokens.len());
            &tokens[places[place]..end]
        };
        let mut known: HashMap<&str, Vec<u64>> = HashMap::new();
        let mut state = vec![0; self.first.len()];
        let mut fitting = vec![0; self.first.len()];
        for place in 0..places.len() {
            fitting.copy_from_slice(&self.any);
            for token in at_place(place) {
                let fit = known.entry(&token.text).or_insert_with(|| self.fitting(&token.text));
                fitting.iter_mut().zip(&*fit).for_each(|(all, one)| *all |= one);
            }
            let mut carry = 0;
            for (word, bits) in state.iter_mut().enumerate() {
                let next = *bits >> (BITS - 1);
                *bits = ((*bits << 1) | carry | self.first[word]) & fitting[word];
                carry = next;
                let mut ended = *bits & self.last[word];
                while ended != 0 {
                    let bit = word * BITS + ended.trailing_zeros() as usize;
                    ended &= ended - 1;
                    let (term, parts, length) = self.rows[self.row_of[bit]];
                    let first = at_place((place + 1).saturating_sub(length));
                    report(term, Found { parts, place, length, first, last: at_place(place) });
                }
            }
        }
    }

    /// Returns the bits of the parts that a token matches.
    fn fitting(&self, token: &str) -> Vec<u64> {
        let mut fitting = vec![0; self.first.len()];
        for bit in self.exact.get(token).into_iter().flatten() {
            set(&mut fitting, *bit);
        }
        for (part, bit) in &self.loose {
            if fits(part, token) {
                set(&mut fitting, *bit);
            }
        }
        fitting
    }
}

fn set(bits: &mut [u64], bit: usize) {
    bits[bit / BITS] |= 1 << (bit % BITS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reference implementation: compares position by position.
    fn matches_reference(query: &Query, text: &str) -> bool {
        let tokens: Vec<Token> = tokens(text).collect();
        let last = tokens.last().map_or(0, |token| token.position);
        let fits_at = |part: &Part, place: u32| {
            tokens.iter().any(|token| token.position == place && fits(part, &token.text))
        };
        let row_at = |row: &Vec<Part>, mut place: u32| {
            row.iter().all(|part| {
                place += part.gap;
                fits_at(part, place)
            })
        };
        let has =
            |term: &Term| term.rows.iter().any(|row| (1..=last).any(|place| row_at(row, place)));
        query.terms.iter().all(|term| has(term) != term.excluded)
    }

    #[test]
    fn row_longer_than_a_word_of_bits_is_matched() {
        let long = "退款好".repeat(100);
        let query = Query::parse(&format!("{long} \"b {} c\" -d", "a ".repeat(90))).unwrap();
        let row = "a ".repeat(90);
        assert!(query.matches(&format!("{long} b {row} c")));
        assert!(!query.matches(&format!("{long} b {row} a c")));
        assert!(!query.matches(&format!("{long} b {row} c d")));
        assert!(!query.matches(&format!("{} b {row} c", &long[3..])));
    }

    proptest! {
        #[test]
        fn matcher_agrees_with_the_reference(
            text in "([ab]|l'a|退款|款退|退|aa|[ab]b)( ([ab]|l'a|退款|款退|退|aa|[ab]b)){0,12}",
            written in "-?([ab]|\"a b( a)?\"|l'a|退|退款退|a\\*|aa\\*|\"退款 a\")( -?([ab]|\"b a\"|退款|l)){0,2}",
        ) {
            if let Ok(query) = Query::parse(&written) {
                prop_assert_eq!(query.matches(&text), matches_reference(&query, &text));
            }
        }
    }
}
