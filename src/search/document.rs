//! A message as it is searched: its tokens with their places, and marks that narrow a search.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::tokens::tokens;

/// Most places of a token that Postgres keeps are 255. Words are found beyond, phrases are not.
const MOST_PLACES: usize = 255;
/// Most bytes of tokens: Postgres takes a `tsvector` of 1 MiB, places and all.
const MOST_BYTES: usize = 512 << 10;
/// Seconds of a day.
const DAY: i64 = 86_400;

/// What the index keeps of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// A `tsvector`, as Postgres reads it.
    pub vector: String,
    /// The tokens, each once and in order.
    pub words: Vec<String>,
}

impl Document {
    /// What is kept of a text.
    #[must_use]
    pub fn of(text: &str, agent_id: &str, at: DateTime<Utc>) -> Self {
        let mut places: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut bytes = 0;
        for token in tokens(text) {
            bytes += token.text.len() + size_of::<u16>();
            if bytes > MOST_BYTES {
                break;
            }
            let places = places.entry(token.text).or_default();
            if places.len() < MOST_PLACES {
                places.push(token.position);
            }
        }
        // Without a place, so that no phrase runs into them.
        let mut vector = format!("'{}' '{}'", agent_mark(agent_id), day_mark(at));
        for (word, places) in &places {
            // A token holds neither quote nor backslash: letters, digits, marks and pictures only.
            let _ = write!(vector, " '{word}'");
            for (index, place) in places.iter().enumerate() {
                let _ = write!(vector, "{}{place}", if index == 0 { ':' } else { ',' });
            }
        }
        Self { vector, words: places.into_keys().collect() }
    }
}

/// Marks the messages of an agent, so that the index finds them among those of many others. No
/// token looks like it. Two agents may share one, so it narrows a search and decides nothing.
#[must_use]
pub fn agent_mark(agent_id: &str) -> String {
    let digest = Sha256::digest(agent_id);
    format!("@{}", hex::encode(&digest[..8]))
}

/// Marks the messages of a day (UTC), so that the newest are found without the others.
#[must_use]
pub fn day_mark(at: DateTime<Utc>) -> String {
    format!("#{:x}", at.timestamp().div_euclid(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_its_tokens_with_places_and_two_marks() {
        let at = DateTime::from_timestamp(86_400 * 255, 0).unwrap();
        let document = Document::of("No, no: 退款!", "a", at);
        assert_eq!(document.words, ["no", "款", "退款"]);
        assert_eq!(document.vector, "'@ca978112ca1bbdca' '#ff' 'no':1,2 '款':4 '退款':3");
    }

    #[test]
    fn the_largest_text_stays_within_what_postgres_takes() {
        let text: String =
            (0..400_000_u32).filter_map(|n| char::from_u32(0x4E00 + n % 20_000)).collect();
        assert!(Document::of(&text, "a", DateTime::UNIX_EPOCH).vector.len() < 1 << 20);
        let many = "no ".repeat(10_000);
        let document = Document::of(&many, "a", DateTime::UNIX_EPOCH);
        assert_eq!(document.vector.matches(',').count(), MOST_PLACES - 1);
    }
}
