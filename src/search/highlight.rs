//! Where a query hits: a piece of the message around its hits, as data. Nothing is marked up, so
//! nothing has to be escaped; nothing is put in, so what is shown stands so in the message.

use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::Query;

/// Longest piece of a message that is shown, in bytes of its text, give or take a letter.
const LONGEST: usize = 300;
/// What is shown before the first hit, in bytes.
const BEFORE: usize = 60;

/// A stretch of text that is a hit, or lies between hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Piece {
    /// As it stands in the message.
    pub text: String,
    /// It is what was looked for.
    pub hit: bool,
    /// Where it begins, in characters (Unicode code points) of the message.
    pub start: usize,
    /// Where it ends, in characters of the message: that of the first character behind it.
    pub end: usize,
}

/// The part of a message that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Highlights {
    /// Put together they are a part of the message, or all of it.
    pub pieces: Vec<Piece>,
    /// They are a part of it.
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

/// In order, and those that overlap as one.
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

/// What is shown: where most hits lie close together, the first such place. A hit that is longer
/// than all of it is cut.
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

/// The beginning of a word between `from` and the hit, so that no word is cut where there are any.
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

    /// With hits in brackets.
    fn shown(text: &str, query: &str) -> String {
        bracketed(&highlight(text, &Query::parse(query).unwrap()).pieces)
    }

    #[test]
    fn hits_are_shown_as_they_stand_in_the_message() {
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
    fn of_a_word_that_holds_a_part_the_part_is_marked() {
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
    fn of_a_long_message_the_part_with_the_most_hits_is_shown() {
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
    fn a_hit_longer_than_what_is_shown_is_cut() {
        let text = "退款".repeat(3_000);
        let found = highlight(&text, &Query::parse(&"退款".repeat(100)).unwrap());
        let [piece] = &found.pieces[..] else { panic!("{found:?}") };
        assert!(piece.hit && found.excerpt && piece.text.len() <= LONGEST);
        assert_eq!((piece.start, piece.end), (0, piece.text.chars().count()));
    }

    proptest! {
        #[test]
        fn pieces_are_a_part_of_the_message_and_say_which(
            text in "([a-c退款é🦊…]{1,3}[ ,]?){0,200}", query in "[a-c退款é]{1,2}( \"a b\")?"
        ) {
            let query = Query::parse(&query).unwrap();
            let Highlights { pieces, excerpt } = highlight(&text, &query);
            let letters: Vec<char> = text.chars().collect();
            for piece in &pieces {
                let stands: String = letters[piece.start..piece.end].iter().collect();
                prop_assert_eq!(&stands, &piece.text);
            }
            prop_assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            let bytes: usize = pieces.iter().map(|piece| piece.text.len()).sum();
            prop_assert!(bytes <= LONGEST + 4);
            prop_assert_eq!(excerpt, bytes < text.len());
            prop_assert_eq!(pieces.iter().any(|piece| piece.hit), !query.hits(&text).is_empty());
        }
    }
}
