//! Where a query hits: a piece of the message around its hits, as data. Nothing is marked up, so
//! nothing has to be escaped.

use std::ops::Range;

use serde::Serialize;
use utoipa::ToSchema;

use super::query::{Part, Query, Term};
use super::tokens::{Token, TokenKind, tokens};

/// Longest piece of a message that is shown, in bytes of its text, give or take a letter.
const LONGEST: usize = 300;
/// What is shown before the first hit, in bytes.
const BEFORE: usize = 60;
/// Stands where text was left out.
const CUT: &str = "…";

/// A stretch of text that is a hit, or lies between hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Piece {
    /// As it stands in the message.
    pub text: String,
    /// It is what was looked for.
    pub hit: bool,
}

/// The piece of a text with the most hits.
#[must_use]
pub fn highlight(text: &str, query: &Query) -> Vec<Piece> {
    let hits = merged(hits(text, query));
    let window = window(text, &hits);
    let mut pieces = Vec::new();
    let mut push = |text: &str, hit| {
        if !text.is_empty() {
            pieces.push(Piece { text: text.to_owned(), hit });
        }
    };
    let mut at = window.start;
    let mut plain = String::from(if window.start > 0 { CUT } else { "" });
    for hit in hits.iter().filter(|hit| hit.start >= window.start && hit.end <= window.end) {
        plain.push_str(&text[at..hit.start]);
        push(&std::mem::take(&mut plain), false);
        push(&text[hit.clone()], true);
        at = hit.end;
    }
    plain.push_str(&text[at..window.end]);
    plain.push_str(if window.end < text.len() { CUT } else { "" });
    push(&plain, false);
    pieces
}

/// Every place that a wanted term matches, in bytes.
fn hits(text: &str, query: &Query) -> Vec<Range<usize>> {
    let tokens: Vec<Token> = tokens(text).collect();
    let wanted: Vec<&Term> = query.wanted().collect();
    let at = |from: usize| {
        let tokens = &tokens;
        wanted.iter().filter_map(move |term| hit(&tokens[from..], &term.parts))
    };
    (0..tokens.len()).flat_map(at).collect()
}

/// Whether a term matches at the beginning of some tokens. Their places have no gaps.
fn hit(tokens: &[Token], parts: &[Part]) -> Option<Range<usize>> {
    let mut at = 0;
    let mut end = 0;
    for part in parts {
        at += usize::from(part.gap);
        let token = tokens.get(at)?;
        let fits = |text: &String| {
            if part.prefix { token.text.starts_with(text) } else { token.text == *text }
        };
        if !part.texts.iter().any(fits) {
            return None;
        }
        // A single letter of a script without spaces is the beginning of a pair.
        let one_letter = part.prefix && token.kind == TokenKind::Pair;
        end = if one_letter { token.head_end } else { token.end };
    }
    Some(tokens.first()?.start..end)
}

/// In order, and those that touch as one.
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

/// What is shown: where most hits lie close together, the first such place.
fn window(text: &str, hits: &[Range<usize>]) -> Range<usize> {
    if text.len() <= LONGEST {
        return 0..text.len();
    }
    let (mut best, mut most, mut end) = (0, 0, 0);
    for (first, hit) in hits.iter().enumerate() {
        while hits.get(end).is_some_and(|last| last.end <= hit.start + LONGEST - BEFORE) {
            end += 1;
        }
        if end.saturating_sub(first) > most {
            (best, most) = (hit.start, end - first);
        }
    }
    let start = best.saturating_sub(BEFORE);
    let (start, end) = (word_start(text, start, best), text.floor_char_boundary(start + LONGEST));
    // A hit that is longer than all of it is shown whole.
    let last = hits.iter().find(|hit| hit.start == best).map_or(end, |hit| hit.end.max(end));
    start..hits.iter().find(|hit| hit.start < last && hit.end > last).map_or(last, |cut| cut.start)
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
    use super::*;
    use proptest::prelude::*;

    /// With hits in brackets.
    fn shown(text: &str, query: &str) -> String {
        let pieces = highlight(text, &Query::parse(query).unwrap());
        let show = |piece: &Piece| {
            if piece.hit { format!("[{}]", piece.text) } else { piece.text.clone() }
        };
        pieces.iter().map(show).collect()
    }

    #[test]
    fn hits_are_shown_as_they_stand_in_the_message() {
        for (text, query, expected) in [
            ("The Café, a CAFE\u{301}.", "cafe", "The [Café], a [CAFE\u{301}]."),
            ("STRASSE oder Straße?", "straße", "[STRASSE] oder [Straße]?"),
            ("no refund policy, refund", "\"refund policy\"", "no [refund policy], refund"),
            ("refunded refunds fun", "refund*", "[refunded] [refunds] fun"),
            ("请问退款政策是什么", "退款政策", "请问[退款政策]是什么"),
            ("我要退款,退货", "退", "我要[退]款,[退]货"),
            ("ＡＢＣ abc", "abc", "[ＡＢＣ] [abc]"),
            ("yes no", "yes -maybe", "[yes] no"),
            ("<b>bold</b>", "bold", "<b>[bold]</b>"),
        ] {
            assert_eq!(shown(text, query), expected);
        }
    }

    #[test]
    fn of_a_long_message_the_part_with_the_most_hits_is_shown() {
        let filler = "lorem ipsum dolor ".repeat(40);
        let text = format!("{filler}gold {filler}gold and gold {filler}");
        let shown = shown(&text, "gold");
        assert!(shown.starts_with('…') && shown.ends_with('…'), "{shown}");
        assert!(shown.contains("[gold] and [gold]"), "{shown}");
        assert!(shown.len() <= LONGEST + 20, "{shown}");
    }

    proptest! {
        #[test]
        fn pieces_put_together_are_a_part_of_the_message(
            text in "([a-c退款é🦊]{1,3}[ ,]?){0,200}", query in "[a-c退款é]{1,2}( \"a b\")?"
        ) {
            let query = Query::parse(&query).unwrap();
            let pieces = highlight(&text, &query);
            let whole: String = pieces.iter().map(|piece| &*piece.text).collect();
            let bare = whole.trim_start_matches(CUT).trim_end_matches(CUT);
            prop_assert!(text.contains(bare), "{bare}");
            prop_assert!(whole.len() <= 2 * LONGEST);
            let found = !hits(&text, &query).is_empty();
            prop_assert_eq!(pieces.iter().any(|piece| piece.hit), found);
        }
    }
}
