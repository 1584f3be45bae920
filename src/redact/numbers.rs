//! Finds phone and card numbers in a normalized text.
//!
//! Groups of digits can be combined in many ways. Each combination has a weight, and the set with
//! the greatest total weight wins. The number of groups a number can have is limited, so this takes
//! linear time.

use std::ops::Range;

use super::candidate::{Candidate, MAX_GROUPS};
use super::card::{is_card, is_grouped};
use super::cues::{self, Class};
use super::groups::{Edge, Group, Parts, SeparatorKind, parts};
use super::kind::Kind;
use super::phone::{self, Hints};
use super::{other, steps};

/// Fewest digits of anything that is replaced.
const FEWEST_DIGITS: usize = 6;
/// Greatest distance of a phone cue before a number, in letters.
const PHONE_REACH: u32 = 60;
/// Greatest distance of another cue before a number, in letters.
const ID_REACH: u32 = 30;
/// Greatest distance of a cue after a number, in letters.
const REACH_AFTER: u32 = 24;
/// Greatest distance of a cue directly before a number, in letters.
const NEAR: u32 = 4;
/// Most cues that are inspected for a number.
const MAX_CUES: usize = 8;
/// Weight of a card in addition to its digits: more than any phone or date.
const CARD_WEIGHT: u32 = 200;

/// Most digits of a phone number (E.164).
const MAX_PHONE: usize = 15;

/// Span and its kind.
pub(super) type Found = (Range<usize>, Kind);

/// Returns the numbers in order. Ignores the text in `spans`. `name` is the class of the member
/// that holds the text.
pub(super) fn find(text: &str, spans: &[Range<usize>], name: Option<Class>) -> Vec<Found> {
    if text.bytes().filter(u8::is_ascii_digit).count() < FEWEST_DIGITS {
        return Vec::new();
    }
    let parts = parts(text, spans, &cues::find(text));
    let count = parts.groups.len();
    // Best reading of the groups from each one on: its weight, and its first step.
    let mut best = vec![0_u32; count + 1];
    let mut first = vec![(1, None); count];
    for at in (0..count).rev() {
        best[at] = best[at + 1];
        let mut candidate = Candidate::new(text, &parts.groups, at);
        let around = Around::of(&parts, at, name);
        for length in 1..=MAX_GROUPS {
            steps::add(1);
            if !candidate.extend() {
                break;
            }
            let Some((weight, kind)) = read(&candidate, text, &parts, &around) else { continue };
            if weight + best[at + length] > best[at] {
                best[at] = weight + best[at + length];
                first[at] = (length, kind.map(|kind| (candidate.start()..candidate.end(), kind)));
            }
        }
    }
    let (mut found, mut at) = (Vec::new(), 0);
    while at < count {
        let (length, span) = &mut first[at];
        at += *length;
        found.extend(span.take());
    }
    found
}

/// Returns the weight of a candidate and its kind, if it is one to replace.
fn read(
    candidate: &Candidate<'_>,
    text: &str,
    parts: &Parts,
    around: &Around,
) -> Option<(u32, Option<Kind>)> {
    steps::add(candidate.lengths().len());
    // Spelt digits are no date, and are a phone number only from their start.
    let spelt = candidate.is_spelt();
    let other = if spelt { None } else { other::weight(candidate, text) };
    let other = other.map(|weight| (weight, None));
    let card = is_card(candidate);
    let within = spelt && candidate.begins_within_spelt();
    let form = if within { None } else { phone::form(candidate, around.hints) };
    if !card && form.is_none() {
        return other;
    }
    let hints = around.hints(parts, candidate, text);
    let digits = u32::try_from(candidate.digits().len()).unwrap_or(0);
    let card = card && may_be_card(candidate, hints);
    let card = card.then_some((CARD_WEIGHT + digits, Some(Kind::Card)));
    let phone = form.and_then(|form| phone::weight(candidate, form, hints));
    let phone = phone.map(|weight| (weight + digits, Some(Kind::Phone)));
    [other, card, phone].into_iter().flatten().max_by_key(|(weight, _)| *weight)
}

/// Returns `true` if the context does not contradict a card number.
fn may_be_card(candidate: &Candidate<'_>, hints: Hints) -> bool {
    let is_bare = candidate.lengths().len() == 1;
    let is_other = hints.id || hints.phone && candidate.digits().len() <= MAX_PHONE;
    candidate.is_apart(",/:")
        && (hints.card
            || is_grouped(candidate)
                && !(is_bare && is_other)
                && !candidate.first().in_url
                && (!candidate.is_beside_word() || candidate.first().left != Edge::Free))
}

/// Words before a group, shared by all candidates that begin with it.
struct Around {
    hints: Hints,
    /// The words before or the member name identify the number.
    settled: bool,
    /// First cue after the group.
    next: usize,
}

impl Around {
    fn of(parts: &Parts, at: usize, name: Option<Class>) -> Self {
        let group = &parts.groups[at];
        let next = parts.cues.partition_point(|cue| cue.cue.start < group.start);
        let alone = parts.letters == 0;
        let mut hints = Hints {
            alone,
            number: alone && name.is_none(),
            unspaced: parts.unspaced,
            ..Hints::default()
        };
        let mut settled = false;
        let mut number_at = None;
        for cue in parts.cues[..next].iter().rev().take(MAX_CUES) {
            steps::add(1);
            let distance = group.place.letters.saturating_sub(cue.to.letters);
            let sentences = group.place.sentence - cue.from.sentence;
            if distance > PHONE_REACH || sentences > 1 {
                break;
            }
            let same_clause = group.place.clause == cue.from.clause;
            match cue.cue.class {
                Class::Unit => continue,
                Class::Number => {
                    hints.number |= sentences == 0;
                    number_at = number_at.or(Some(cue.from.letters));
                    continue;
                }
                Class::Phone if sentences == 0 => {
                    hints.phone = true;
                    hints.phone_just_before = distance <= NEAR;
                }
                Class::Phone => hints.number = true,
                Class::Card => {
                    hints.card = true;
                    hints.id = sentences == 0 && same_clause && distance <= ID_REACH;
                }
                Class::Id => {
                    let of_number =
                        number_at.is_some_and(|at| at.saturating_sub(cue.to.letters) > ID_REACH);
                    hints.id = sentences == 0 && same_clause && distance <= ID_REACH && !of_number;
                }
            }
            // Check for other groups between the cue and this one.
            let before = at.checked_sub(1).map(|at| parts.groups[at].start);
            let parted =
                matches!(group.separator.kind, SeparatorKind::Break | SeparatorKind::Comma);
            hints.passed = parted && before.is_some_and(|start| start > cue.cue.start);
            settled = true;
            break;
        }
        if !settled {
            settled = hints.set_from_name(name);
        }
        Self { hints, settled, next }
    }

    /// Returns the hints including the words after a number.
    fn hints(&self, parts: &Parts, candidate: &Candidate<'_>, text: &str) -> Hints {
        let mut hints = self.hints;
        hints.unit = is_after_unit(parts, candidate, self.next);
        let last: &Group = candidate.last();
        let after = parts.cues[self.next..]
            .iter()
            .take(MAX_CUES + MAX_GROUPS)
            .skip_while(|cue| cue.cue.start < candidate.end());
        for cue in after {
            steps::add(1);
            let distance = cue.from.letters - last.place.letters;
            if distance > REACH_AFTER || cue.from.sentence != last.place.sentence {
                break;
            }
            let gap = text.get(candidate.end()..cue.cue.start).unwrap_or("");
            match cue.cue.class {
                Class::Unit => hints.unit |= gap.is_empty() || gap == " ",
                Class::Number => hints.number |= !self.settled,
                Class::Phone if !self.settled => hints.phone = true,
                _ => break,
            }
        }
        hints
    }
}

/// Returns `true` if a unit, such as a currency sign, is directly before it.
fn is_after_unit(parts: &Parts, candidate: &Candidate<'_>, next: usize) -> bool {
    let before = next.checked_sub(1).and_then(|at| parts.cues.get(at));
    before.is_some_and(|cue| {
        cue.is(Class::Unit)
            && (0..=1).contains(&(candidate.start().saturating_sub(cue.cue.end)))
            && cue.to.letters == candidate.first().place.letters
    })
}

impl Hints {
    /// Sets the hints from the class of a member name; returns `false` if it identifies nothing.
    fn set_from_name(&mut self, name: Option<Class>) -> bool {
        match name {
            Some(Class::Phone) => (self.phone, self.phone_just_before) = (true, true),
            Some(Class::Card) => (self.card, self.id) = (true, true),
            Some(Class::Id | Class::Unit) => self.id = true,
            Some(Class::Number) | None => return false,
        }
        true
    }
}
