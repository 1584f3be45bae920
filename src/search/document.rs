//! Search documents of a message: its tokens with their positions, and marks that narrow a search.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::marks::{LONG_MARK, agent_mark, day_mark};
use super::query::MAX_ROW;
use super::tokens::{Token, tokens};

/// Most positions of a token that Postgres stores.
const MAX_PLACES: usize = 255;
/// Most positions of a document: Postgres stores none above 16,383, and the cost of searching a
/// document grows with them.
const MAX_POSITIONS: u32 = 4_000;
/// Most bytes of a document's tokens: Postgres limits a `tsvector` with its positions to 1 MiB.
const MAX_BYTES: usize = 256 << 10;

/// Document of the index. A message has one; a long message has several. Each of these begins with
/// the end of the previous one, so that no phrase is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `tsvector` in the input format of Postgres.
    pub vector: String,
    /// Distinct tokens, sorted.
    pub words: Vec<String>,
}

impl Document {
    /// Returns the documents of a text, at least one.
    #[must_use]
    pub fn of(text: &str, agent_id: &str, at: DateTime<Utc>) -> Vec<Self> {
        let mut marks = format!("'{}' '{}'", agent_mark(agent_id), day_mark(at));
        // A text this short has a single document.
        if text.len() <= MAX_PLACES {
            let mut part = Part::default();
            tokens(text).for_each(|token| part.add(token.text, token.position));
            return vec![part.document(&marks)];
        }
        let tokens: Vec<Token> = tokens(text).collect();
        let ends = ends(&tokens);
        if ends.len() > 1 {
            let _ = write!(marks, " '{LONG_MARK}'");
        }
        let mut tokens = tokens.into_iter();
        // End of the previous document, which begins this one.
        let mut before: Vec<Token> = Vec::new();
        let mut at = 0;
        let documents = ends.into_iter().map(|end| {
            let new = tokens.by_ref().take(end - at);
            at = end;
            let all: Vec<Token> = before.drain(..).chain(new).collect();
            before = overlap(&all).to_vec();
            let first = all.first().map_or(1, |token| token.position);
            let mut part = Part::default();
            for token in all {
                part.add(token.text, token.position - first + 1);
            }
            part.document(&marks)
        });
        documents.collect()
    }
}

/// Returns the tokens of the last positions, one fewer than the longest row of a query.
fn overlap(tokens: &[Token]) -> &[Token] {
    let last = tokens.last().map_or(0, |token| token.position);
    let row = u32::try_from(MAX_ROW).unwrap_or(u32::MAX);
    let from = (last + 1).saturating_sub(row - 1);
    &tokens[tokens.partition_point(|token| token.position < from)..]
}

/// Returns the end of each document, as an index into `tokens`.
fn ends(tokens: &[Token]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut part = Extent::default();
    for (at, token) in tokens.iter().enumerate() {
        if !part.has_room(token) {
            // The pieces of a word stay with it.
            let piece_of = |one: &&Token| one.position == token.position;
            let end = at - tokens[..at].iter().rev().take_while(piece_of).count();
            ends.push(end);
            part = Extent::default();
            overlap(&tokens[..end]).iter().chain(&tokens[end..at]).for_each(|one| part.add(one));
        }
        part.add(token);
    }
    ends.push(tokens.len());
    ends
}

/// Size of a document.
#[derive(Default)]
struct Extent<'a> {
    first: Option<u32>,
    bytes: usize,
    /// For each token: the number of its positions, and the last of them.
    places: HashMap<&'a str, (usize, u32)>,
}

impl<'a> Extent<'a> {
    fn has_room(&self, token: &Token) -> bool {
        let first = self.first.unwrap_or(token.position);
        token.position - first < MAX_POSITIONS
            && self.bytes + token.text.len() + size_of::<u16>() <= MAX_BYTES
            && self.places.get(token.text.as_str()).is_none_or(|places| places.0 < MAX_PLACES)
    }

    fn add(&mut self, token: &'a Token) {
        self.first.get_or_insert(token.position);
        self.bytes += token.text.len() + size_of::<u16>();
        let (places, last) = self.places.entry(&token.text).or_default();
        *places += usize::from(*last != token.position);
        *last = token.position;
    }
}

/// Tokens of a document with their positions.
#[derive(Default)]
struct Part(BTreeMap<String, Vec<u32>>);

impl Part {
    fn add(&mut self, text: String, place: u32) {
        let places = self.0.entry(text).or_default();
        // The pieces of a word may be equal.
        if places.last() != Some(&place) {
            places.push(place);
        }
    }

    fn document(self, marks: &str) -> Document {
        // Marks have no position, so that they are part of no phrase.
        let mut vector = marks.to_owned();
        for (word, places) in &self.0 {
            // A token contains no quote and no backslash: only letters, digits, marks and pictures.
            let _ = write!(vector, " '{word}'");
            for (index, place) in places.iter().enumerate() {
                let _ = write!(vector, "{}{place}", if index == 0 { ':' } else { ',' });
            }
        }
        Document { vector, words: self.0.into_keys().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Vec<Document> {
        Document::of(text, "a", DateTime::UNIX_EPOCH)
    }

    /// Returns the tokens by position in a document.
    fn places(document: &Document) -> BTreeMap<u32, Vec<String>> {
        let mut all: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for (word, places) in document.vector.split(' ').filter_map(|each| each.split_once(':')) {
            for place in places.split(',') {
                let word = word.trim_matches('\'').to_owned();
                all.entry(place.parse().unwrap()).or_default().push(word);
            }
        }
        all
    }

    #[test]
    fn document_contains_its_tokens_with_positions_and_two_marks() {
        let at = DateTime::from_timestamp(86_400 * 255, 0).unwrap();
        let [document] = &Document::of("No, no: 退款! It's", "a", at)[..] else { panic!() };
        assert_eq!(document.words, ["it", "its", "no", "s", "款", "退款"]);
        assert_eq!(
            document.vector,
            "'@ca978112ca1bbdca' '#ff' 'it':5 'its':5 'no':1,2 's':5 '款':4 '退款':3"
        );
        assert_eq!(of("").len(), 1, "a text without tokens has one");
    }

    #[test]
    fn long_text_has_several_documents_within_the_limits_of_postgres() {
        let many: String =
            (0..150_000_u32).filter_map(|n| char::from_u32(0x4E00 + n % 20_000)).collect();
        let long: String =
            (0..150_000_u32).filter_map(|n| char::from_u32(0x1_D400 + n % 800)).collect();
        for text in [many, long, "no ".repeat(20_000), "退款".repeat(3_000), "x".repeat(1 << 17)]
        {
            let documents = of(&text);
            assert!(documents.len() > 1);
            for document in documents {
                assert!(document.vector.len() < 1 << 20);
                let places = places(&document);
                assert!(places.last_key_value().is_none_or(|(last, _)| *last <= MAX_POSITIONS));
                let most = document.vector.split(' ').map(|each| each.matches(',').count()).max();
                assert!(most.unwrap() < MAX_PLACES);
                assert!(document.vector.contains(" '%' "));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn documents_contain_all_tokens_and_rows_of_the_text(
            words in proptest::collection::vec("[ab]|l'a|a'a|退款|[a-z]{1,3}", 250..700)
        ) {
            let text = words.join(" ");
            let mut all: BTreeMap<u32, Vec<String>> = BTreeMap::new();
            for token in tokens(&text) {
                all.entry(token.position).or_default().push(token.text);
            }
            for texts in all.values_mut() {
                texts.sort();
                texts.dedup();
            }
            let all: Vec<_> = all.into_values().collect();
            let mut covered = 0_usize;
            for document in of(&text) {
                let part: Vec<_> = places(&document).into_values().collect();
                let begin = covered.min((covered + 1).saturating_sub(MAX_ROW));
                prop_assert_eq!(&all[begin..begin + part.len()], &part[..]);
                prop_assert!(begin + part.len() > covered);
                covered = begin + part.len();
            }
            prop_assert_eq!(covered, all.len());
        }
    }
}
