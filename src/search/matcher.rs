//! Compares a query with a text, in one pass that takes the same time for each token, however the
//! text repeats itself: all rows of the query are followed side by side, a bit for each of their
//! parts (the shift-and method).

use std::collections::HashMap;
use std::ops::Range;

use super::query::{Part, Query, Term};
use super::tokens::{Token, TokenKind, letters_of, tokens};

/// Bits of a word of the state.
const BITS: usize = u64::BITS as usize;

impl Query {
    /// Says whether a text has every term that is wanted, and none that is excluded.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut had = vec![false; self.terms.len()];
        let tokens: Vec<Token> = tokens(text).collect();
        Matcher::new(self).run(&tokens, |term, _| had[term] = true);
        self.terms.iter().zip(had).all(|(term, had)| term.excluded != had)
    }

    /// Returns where in a text its wanted terms are, in bytes and in no order; those that overlap
    /// are mostly one.
    pub(super) fn hits(&self, text: &str) -> Vec<Range<usize>> {
        let mut hits = Vec::new();
        // Of rows that end at the same place the longest has the others in it.
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

/// A row of the query where it was found.
struct Found<'a> {
    parts: &'a [Part],
    /// Where it ends, and how many places it takes.
    place: usize,
    length: usize,
    /// The tokens at its first place and at its last one.
    first: &'a [Token],
    last: &'a [Token],
}

/// Appends the parts of a text that are a hit: from where the first part begins to where the last
/// one ends, and of a word only what was looked for.
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

/// Appends a hit, as one with those before it that it overlaps: a text that repeats itself has no
/// more of them than it has places.
fn add(mut hit: Range<usize>, hits: &mut Vec<Range<usize>>) {
    while let Some(last) = hits.pop_if(|last| last.start < hit.end && hit.start < last.end) {
        hit = hit.start.min(last.start)..hit.end.max(last.end);
    }
    hits.push(hit);
}

/// The parts of a token that a part of the query is.
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

/// Says whether a token is what a part of the query asks for.
fn fits(part: &Part, token: &str) -> bool {
    if part.within {
        token.contains(&part.text)
    } else if part.prefix {
        token.starts_with(&part.text)
    } else {
        token == part.text
    }
}

/// All rows of a query, a bit for each place of each row.
struct Matcher<'q> {
    /// The rows, with the term of each and how many places it takes.
    rows: Vec<(usize, &'q [Part], usize)>,
    /// Which row each bit is of.
    row_of: Vec<usize>,
    exact: HashMap<&'q str, Vec<usize>>,
    /// Parts that more than one token fits.
    loose: Vec<(&'q Part, usize)>,
    /// Places that any token fits: those that a row passes over.
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

    /// Reads the tokens of a text, and reports each row of each term where it ends.
    fn run<'a>(&'a self, tokens: &'a [Token], mut report: impl FnMut(usize, Found<'a>)) {
        // Where the tokens of each place begin.
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

    /// The bits of the parts that a token fits.
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

    /// The obvious way, place by place.
    fn found_slowly(query: &Query, text: &str) -> bool {
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
    fn a_row_longer_than_a_word_of_bits_is_followed() {
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
        fn it_finds_what_the_obvious_way_finds(
            text in "([ab]|l'a|退款|款退|退|aa|[ab]b)( ([ab]|l'a|退款|款退|退|aa|[ab]b)){0,12}",
            asked in "-?([ab]|\"a b( a)?\"|l'a|退|退款退|a\\*|aa\\*|\"退款 a\")( -?([ab]|\"b a\"|退款|l)){0,2}",
        ) {
            if let Ok(query) = Query::parse(&asked) {
                prop_assert_eq!(query.matches(&text), found_slowly(&query, &text));
            }
        }
    }
}
