//! Highlights of a query: the excerpt of a message around the hits, as data. Without markup nothing
//! has to be escaped, and the text is an exact part of the message.

use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;

/// Longest excerpt of a message, in bytes of its text, give or take a letter.
const LONGEST: usize = 300;
/// Length of the text before the first hit, in bytes.
const BEFORE: usize = 60;

/// Text that is a hit, or is between hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Piece {
    /// Exact text of the message.
    #[schema(example = "opening hours")]
    pub text: String,
    /// `true` if the text is a hit.
    #[schema(example = true)]
    pub hit: bool,
    /// Start, in characters (Unicode code points) of the message.
    #[schema(example = 0)]
    pub start: usize,
    /// End, exclusive, in characters of the message.
    #[schema(example = 13)]
    pub end: usize,
}

/// Part of a message, split at its hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highlights {
    /// Consecutive pieces, which together are a part of the message or all of it.
    pub pieces: Vec<Piece>,
    /// `true` if the pieces are only a part of the message.
    pub excerpt: bool,
}

/// Returns the part of a text with the most hits.
#[must_use]
pub fn highlight(text: &str, query: &Query) -> Highlights {
    let hits = merged(query.hits(text));
    let window = window(text, &hits);
    let mut pieces = Vec::new();
    let mut start = text[..window.start].chars().count();
    let mut push = |text: &str, hit| {
        if !text.is_empty() {
            let end = start + text.chars().count();
            pieces.push(Piece { text: text.to_owned(), hit, start, end });
            start = end;
        }
    };
    let mut at = window.start;
    let shown = hits.iter().map(|hit| hit.start.max(window.start)..hit.end.min(window.end));
    for hit in shown.filter(|hit| !hit.is_empty()) {
        push(&text[at..hit.start], false);
        push(&text[hit.clone()], true);
        at = hit.end;
    }
    push(&text[at..window.end], false);
    Highlights { pieces, excerpt: window.len() < text.len() }
}

/// Sorts hits and merges those that overlap.
fn merged(mut hits: Vec<Range<usize>>) -> Vec<Range<usize>> {
    hits.sort_unstable_by_key(|hit| (hit.start, hit.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(hits.len());
    for hit in hits {
        match merged.last_mut() {
            Some(last) if hit.start < last.end => last.end = last.end.max(hit.end),
            _ => merged.push(hit),
        }
    }
    merged
}

/// Returns the first range with the most hits. A hit longer than the range is cut.
fn window(text: &str, hits: &[Range<usize>]) -> Range<usize> {
    if text.len() <= LONGEST {
        return 0..text.len();
    }
    let (mut best, mut most, mut end) = (0, 0, 0);
    for (first, hit) in hits.iter().enumerate() {
        while hits.get(end).is_some_and(|last| last.end <= hit.start + LONGEST - BEFORE) {
            end += 1;
        }
        let count = end.saturating_sub(first).max(1);
        if count > most {
            (best, most) = (hit.start, count);
        }
    }
    let start = word_start(text, best.saturating_sub(BEFORE), best);
    start..text.floor_char_boundary(start + LONGEST)
}

/// Returns the first start of a word between `from` and the hit, or `from` if there is none.
fn word_start(text: &str, from: usize, hit: usize) -> usize {
    let from = text.ceil_char_boundary(from);
    if from == 0 || from >= hit {
        return from.min(hit);
    }
    match text[from..hit].split_once(char::is_whitespace) {
        Some((head, rest)) if !rest.is_empty() => hit - rest.len().min(hit - from - head.len()),
        _ => from,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    fn bracketed(pieces: &[Piece]) -> String {
        let show = |piece: &Piece| {
            if piece.hit { format!("[{}]", piece.text) } else { piece.text.clone() }
        };
        pieces.iter().map(show).collect()
    }

    /// Returns the excerpt with hits in brackets.
    fn shown(text: &str, query: &str) -> String {
        bracketed(&highlight(text, &Query::parse(query).unwrap()).pieces)
    }

    #[test]
    fn highlights_keep_the_text_of_the_message() {
        for (text, query, expected) in [
            ("The Café, a CAFE\u{301}.", "cafe", "The [Café], a [CAFE\u{301}]."),
            ("STRASSE oder Straße?", "straße", "[STRASSE] oder [Straße]?"),
            ("no refund policy, refund", "\"refund policy\"", "no [refund policy], refund"),
            ("refunded refunds fun", "refund*", "[refund]ed [refund]s fun"),
            ("Ébène, ebenholz", "ebe*", "[Ébè]ne, [ebe]nholz"),
            ("请问退款政策是什么", "退款政策", "请问[退款政策]是什么"),
            ("我要退款,退货", "退", "我要[退]款,[退]货"),
            ("ＡＢＣ abc", "abc", "[ＡＢＣ] [abc]"),
            ("yes no", "yes -maybe", "[yes] no"),
            ("<b>bold</b>", "bold", "<b>[bold]</b>"),
            ("voici l'homme", "homme", "voici l'[homme]"),
            ("I don’t, I dont", "don't", "I [don’t], I [dont]"),
            ("100.000 or 100000", "100,000", "[100.000] or [100000]"),
            ("می\u{200C}خواهم", "خواهم", "می\u{200C}[خواهم]"),
            ("a… b", "b", "a… [b]"),
        ] {
            assert_eq!(shown(text, query), expected);
        }
    }

    #[test]
    fn only_the_matching_part_of_a_word_is_highlighted() {
        for (text, query, expected) in [
            ("die Rückerstattung", "erstatt", "die Rück[erstatt]ung"),
            ("Bananarama anagram", "ana", "B[ana]narama [ana]gram"),
            ("STRAßENBAHN", "ssen", "STRA[ßEN]BAHN"),
            ("pre-dawn prédawning", "\"pre dawn\"", "[pre-dawn] prédawning"),
        ] {
            let query = Query::parse(query).unwrap().widened(&HashMap::new());
            assert_eq!(bracketed(&highlight(text, &query).pieces), expected);
        }
    }

    #[test]
    fn excerpt_is_the_part_with_the_most_hits() {
        let filler = "lorem ipsum dolor ".repeat(40);
        let text = format!("{filler}gold {filler}gold and gold {filler}");
        let found = highlight(&text, &Query::parse("gold").unwrap());
        let shown = bracketed(&found.pieces);
        assert!(shown.contains("[gold] and [gold]"), "{shown}");
        assert!(!shown.contains('…') && found.excerpt);
        assert!(shown.len() <= LONGEST + 20, "{shown}");
        assert!(!highlight("gold", &Query::parse("gold").unwrap()).excerpt);
    }

    #[test]
    fn hit_longer_than_the_excerpt_is_cut() {
        let text = "退款".repeat(3_000);
        let found = highlight(&text, &Query::parse(&"退款".repeat(100)).unwrap());
        let [piece] = &found.pieces[..] else { panic!("{found:?}") };
        assert!(piece.hit && found.excerpt && piece.text.len() <= LONGEST);
        assert_eq!((piece.start, piece.end), (0, piece.text.chars().count()));
    }

    proptest! {
        #[test]
        fn pieces_match_their_positions_in_the_message(
            text in "([a-c退款é🦊…]{1,3}[ ,]?){0,200}", query in "[a-c退款é]{1,2}( \"a b\")?"
        ) {
            let query = Query::parse(&query).unwrap();
            let Highlights { pieces, excerpt } = highlight(&text, &query);
            let letters: Vec<char> = text.chars().collect();
            for piece in &pieces {
                let actual: String = letters[piece.start..piece.end].iter().collect();
                prop_assert_eq!(&actual, &piece.text);
            }
            prop_assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            let bytes: usize = pieces.iter().map(|piece| piece.text.len()).sum();
            prop_assert!(bytes <= LONGEST + 4);
            prop_assert_eq!(excerpt, bytes < text.len());
            prop_assert_eq!(pieces.iter().any(|piece| piece.hit), !query.hits(&text).is_empty());
        }
    }
}
