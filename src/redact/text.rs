//! What an e-mail address, a card's number and a phone number look like in a text.

use std::ops::Range;

const EMAIL: &str = "[email]";
const CARD: &str = "[card]";
const PHONE: &str = "[phone]";

/// Digits of a payment card's number.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Digits of a phone number: E.164 has 15 at the most, and no country fewer than 7.
const PHONE_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// Digits of a phone number without the country: fewer may be a date or an amount.
const NATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 9..=15;

/// The text without e-mail addresses; `None` where there are none.
pub(super) fn emails(text: &str) -> Option<String> {
    let mut found = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices('@') {
        if at < from {
            continue;
        }
        let of_local = |c: char| c.is_alphanumeric() || "._%+-'!#$&*/=?^`{|}~".contains(c);
        let local = text[from..at].trim_end_matches(of_local).len() + from;
        let domain = &text[at + 1..];
        let of_domain = |c: char| c.is_alphanumeric() || c == '.' || c == '-';
        let domain = &domain[..domain.len() - domain.trim_start_matches(of_domain).len()];
        let domain = domain.trim_end_matches(['.', '-']);
        let Some((host, top)) = domain.rsplit_once('.') else { continue };
        if local < at && !host.is_empty() && top.chars().count() >= 2 && !is_number(top) {
            from = at + 1 + domain.len();
            found.push((local..from, EMAIL));
        }
    }
    replace(text, &found)
}

fn is_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit())
}

/// The text without numbers of cards and of phones; `None` where there are none.
pub(super) fn numbers(text: &str, cards: bool, phones: bool) -> Option<String> {
    let mut found = Vec::new();
    for run in runs(text) {
        let mut rest = &run.groups[..];
        while !rest.is_empty() {
            // The first card, with what stands before it.
            let card = if cards { card_in(text, rest) } else { None };
            let (before, after) =
                card.clone().map_or((rest.len(), rest.len()), |c| (c.start, c.end));
            let is_first = rest.len() == run.groups.len();
            if phones && let Some(phone) = phone_in(text, &run, &rest[..before], is_first) {
                found.push((phone, PHONE));
            }
            if let Some(card) = card {
                found.push((rest[card.start].start..rest[card.end - 1].end, CARD));
            }
            rest = &rest[after..];
        }
    }
    replace(text, &found)
}

/// Groups of digits that belong together: what is between them may stand within a number.
struct Run {
    groups: Vec<Range<usize>>,
    /// Where a plus or an opening parenthesis before it stands.
    start: usize,
    plus: bool,
    /// It is part of a word, such as an id.
    in_word: bool,
}

fn runs(text: &str) -> Vec<Run> {
    let bytes = text.as_bytes();
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_digit() {
            let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            groups.push(at..at + length);
            at += length;
        } else {
            at += 1;
        }
    }
    let mut runs: Vec<Run> = Vec::new();
    for group in groups {
        match runs.last_mut() {
            Some(run) if joins(&text[run.groups[run.groups.len() - 1].end..group.start]) => {
                run.groups.push(group);
            }
            _ => runs.push(Run::beginning(text, group)),
        }
    }
    for run in &mut runs {
        let end = run.groups[run.groups.len() - 1].end;
        run.in_word |= text[end..].chars().next().is_some_and(is_of_word);
    }
    runs
}

impl Run {
    fn beginning(text: &str, group: Range<usize>) -> Self {
        let before = text[..group.start].strip_suffix('(').unwrap_or(&text[..group.start]);
        let (before, plus) = match before.strip_suffix('+') {
            Some(before) => (before, true),
            None => (before, false),
        };
        let in_word = before.chars().next_back().is_some_and(is_of_word);
        Self { start: before.len(), groups: vec![group], plus, in_word }
    }
}

fn is_of_word(c: char) -> bool {
    // Scripts without spaces write a number next to a word.
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether it may stand between the digits of one number.
fn joins(between: &str) -> bool {
    let separator = |c: char| " -./()\u{a0}\u{2009}\u{2010}\u{2011}\u{2013}\u{202f}".contains(c);
    (1..=3).contains(&between.chars().count()) && between.chars().all(separator)
}

fn digits_of(groups: &[Range<usize>]) -> usize {
    groups.iter().map(Range::len).sum()
}

/// The first card among groups of digits. It begins and ends with one: a longer number is another.
fn card_in(text: &str, groups: &[Range<usize>]) -> Option<Range<usize>> {
    (0..groups.len()).find_map(|from| {
        (from + 1..=groups.len()).rev().map(|to| from..to).find(|part| {
            let groups = &groups[part.clone()];
            CARD_DIGITS.contains(&digits_of(groups)) && is_card(text, groups)
        })
    })
}

/// The Luhn check, and a first digit that cards have.
fn is_card(text: &str, groups: &[Range<usize>]) -> bool {
    let digits: Vec<u32> = groups
        .iter()
        .flat_map(|group| text.as_bytes()[group.clone()].iter().map(|byte| u32::from(byte - b'0')))
        .collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    (2..=6).contains(&digits[0]) && sum.is_multiple_of(10)
}

/// A phone number at the beginning of some groups of a run.
fn phone_in(
    text: &str,
    run: &Run,
    groups: &[Range<usize>],
    is_first: bool,
) -> Option<Range<usize>> {
    let (first, plus) = (groups.first()?, run.plus && is_first);
    if run.in_word && !plus {
        return None;
    }
    // As many groups as a number can have; what follows is another one.
    let length = (1..=groups.len()).rev().find(|to| digits_of(&groups[..*to]) <= 15)?;
    let groups = &groups[..length];
    let (digits, end) = (digits_of(groups), groups[length - 1].end);
    let start = if is_first { run.start } else { first.start };
    let lengths: Vec<usize> = groups.iter().map(Range::len).collect();
    let is_date = matches!(lengths[..], [1..=2, 1..=2, 4, ..] | [4, 1..=2, 1..=2, ..]);
    let is_zero = text[first.start..].starts_with("000");
    let is_fraction = lengths[0] == 1 && text[first.end..].starts_with('.');
    let national = text[first.start..].starts_with('0') && !is_zero && !is_date && !is_fraction;
    let american = matches!(lengths[..], [3, 3, 4] | [1, 3, 3, 4]);
    let found = plus && PHONE_DIGITS.contains(&digits)
        || national && NATIONAL_DIGITS.contains(&digits)
        || american;
    found.then_some(start..end)
}

fn replace(text: &str, found: &[(Range<usize>, &str)]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (range, by) in found {
        out.push_str(&text[from..range.start]);
        out.push_str(by);
        from = range.end;
    }
    out.push_str(&text[from..]);
    Some(out)
}
