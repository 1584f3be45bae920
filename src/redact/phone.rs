//! Phone numbers: the forms of each country, and the hints that each form needs.

use super::calling_codes::calling_code;
use super::candidate::Candidate;
use super::groups::SeparatorKind::{
    Comma, Dash, Dot, Newline, Parenthesis, Slash, Space, Underscore,
};
use super::groups::{Separator, SeparatorKind};
use super::other::is_amount;

/// Number of digits with the calling code (E.164).
const INTERNATIONAL: std::ops::RangeInclusive<usize> = 7..=15;
/// Number of digits of a national number, including the leading zero of many countries.
const NATIONAL: std::ops::RangeInclusive<usize> = 9..=12;
/// Number of digits of a local number if the words mention a phone.
const LOCAL: std::ops::RangeInclusive<usize> = 7..=15;
/// Number of digits of a local number directly after such a word.
const SHORT: usize = 6;

/// Most digits, including the international prefix.
const LONGEST: usize = 18;
/// Fewest digits of a number without a known form if the words mention only some number.
const FORMLESS: usize = 8;

/// Hints of the words around a number.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the hints are independent")]
pub(super) struct Hints {
    /// The words mention a phone.
    pub(super) phone: bool,
    /// They do so directly before the number.
    pub(super) phone_just_before: bool,
    /// The words mention some number, or there are no words.
    pub(super) number: bool,
    /// The text has no words.
    pub(super) alone: bool,
    /// The words mention something else that has a number.
    pub(super) id: bool,
    /// Another number is between those words and this one.
    pub(super) passed: bool,
    /// The words mention a card.
    pub(super) card: bool,
    /// The number has a unit.
    pub(super) unit: bool,
    /// The text contains letters of a script without spaces.
    pub(super) unspaced: bool,
}

/// Certainty of a form without hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// Needs a word that mentions phones.
    Possible,
    /// Needs a word that mentions a number.
    Likely,
    /// Is a phone number unless the words mention something else.
    Typical,
    /// Is a phone number regardless of the words.
    International,
}

/// Returns the certainty that these groups are a phone number, or `None` if they are not.
pub(super) fn weight(candidate: &Candidate<'_>, form: Form, hints: Hints) -> Option<u32> {
    let beside_word = candidate.is_beside_word();
    let holds = match form {
        Form::International => {
            !(hints.unit && is_amount(candidate)) && (hints.phone || !beside_word)
        }
        _ if hints.unit || hints.id && !(hints.passed && form == Form::Typical) => false,
        _ if candidate.first().in_url => hints.phone_just_before,
        Form::Typical => hints.phone || !beside_word || candidate.lengths().len() > 1,
        Form::Likely => hints.phone || hints.number && !beside_word && !candidate.continues_list(),
        Form::Possible => {
            hints.phone || hints.number && !hints.alone && !beside_word && is_whole(candidate)
        }
    };
    let sure = match form {
        Form::International => 120,
        Form::Typical => 100,
        Form::Likely => 60,
        Form::Possible => 40,
    };
    holds.then_some(sure)
}

/// Returns `true` if it has enough digits for a number without a known form, and is no part of a
/// list.
fn is_whole(candidate: &Candidate<'_>) -> bool {
    candidate.digits().len() >= FORMLESS
        && candidate.lengths().len() <= 5
        && !candidate.continues_list()
}

/// Returns the form of these groups; `hints` are those of the words before.
pub(super) fn form(candidate: &Candidate<'_>, hints: Hints) -> Option<Form> {
    if !(SHORT..=LONGEST).contains(&candidate.digits().len())
        || !candidate.is_closed()
        || !candidate.is_apart(",/")
        || is_torn(candidate)
        || !has_good_groups(candidate)
    {
        return None;
    }
    if is_international(candidate) {
        return Some(Form::International);
    }
    if candidate.has_plus() || candidate.separators().any(|separator| separator.kind == Newline) {
        return None;
    }
    let form = national(candidate, hints).or_else(|| local(candidate, hints))?;
    // Commas and full stops separate numbers as often as groups.
    let listed = candidate
        .separators()
        .any(|separator| separator.kind == Comma || separator.kind == Dot && separator.wide);
    Some(if listed { form.min(Form::Likely) } else { form })
}

/// Returns `true` if it is part of something longer: a sign that also separates its groups
/// connects it to a neighbour, or it is short and connected by any sign.
fn is_torn(candidate: &Candidate<'_>) -> bool {
    let kinds =
        |kind| candidate.separators().any(|separator| separator.kind == kind && !separator.wide);
    let bound =
        |sign, kind| !candidate.is_apart(if sign == ',' { "/" } else { "," }) && kinds(kind);
    bound(',', Comma)
        || bound('/', Slash)
        || candidate.digits().len() < 9 && !candidate.is_apart("")
}

/// Returns `true` if the groups and their separators can form a phone number.
fn has_good_groups(candidate: &Candidate<'_>) -> bool {
    if candidate.is_spelt() {
        let joined = |separator: Separator| [Space, Comma, Dash, Dot].contains(&separator.kind);
        let good = candidate.uniform().is_some() || candidate.separators().all(joined);
        return good && !is_counting(candidate.digits());
    }
    let lengths = candidate.lengths();
    let Some((last, others)) = lengths.split_last() else { return false };
    // A single digit is only at the beginning, or is the zero that callers from abroad omit.
    let mut digits = candidate.digits();
    let single = others.iter().enumerate().all(|(at, length)| {
        let zero = digits[0] == 0;
        digits = &digits[*length..];
        *length > 1 || at == 0 || zero && at == 1 || at == 1 && is_from_abroad(candidate)
    });
    let dashed = candidate.separators().last().is_some_and(|separator| separator.kind == Dash);
    let has_area = digits_begin_with_zero(candidate) || candidate.has_plus();
    let short_end = *last == 1 && !others.is_empty() && !(dashed && has_area)
        || *last == 2 && others.last().is_some_and(|before| *before > 3) && !dashed;
    single && !short_end && has_good_separators(candidate)
}

fn digits_begin_with_zero(candidate: &Candidate<'_>) -> bool {
    candidate.digits().first() == Some(&0)
}

fn has_good_separators(candidate: &Candidate<'_>) -> bool {
    if let Some(separator) = candidate.uniform() {
        return match separator.kind {
            Space | Dash | Dot | Slash | Comma | Underscore => true,
            Parenthesis => candidate.lengths().len() <= 3,
            _ => false,
        };
    }
    let has = |kind| candidate.separators().any(|separator| separator.kind == kind);
    // After the area code, or after country and area code.
    let early = if is_from_abroad(candidate) { 2 } else { 1 };
    let good = candidate.separators().enumerate().all(|(at, separator)| match separator.kind {
        Space | Parenthesis => true,
        Dash => !separator.wide || at < early + usize::from(has(Parenthesis) || has(Slash)),
        Slash => at < early + usize::from(has(Parenthesis)),
        Dot => !separator.wide && !has(Dash) && (at > 0 || !has(Space)),
        _ => false,
    });
    good && !(has(Dot) && has(Slash))
}

/// Returns `true` for one, two, three, …
fn is_counting(digits: &[u8]) -> bool {
    let up = digits.windows(2).filter(|two| two[1] == (two[0] + 1) % 10).count();
    up + 1 == digits.len()
}

/// Returns `true` if it begins with a plus or an international prefix.
fn is_from_abroad(candidate: &Candidate<'_>) -> bool {
    candidate.has_plus() || matches!(candidate.digits(), [0, 0, ..] | [0, 1, 1, ..])
}

fn is_international(candidate: &Candidate<'_>) -> bool {
    let digits = candidate.digits();
    let digits = match digits {
        _ if candidate.has_plus() => digits,
        [0, 0, digits @ ..] | [0, 1, 1, digits @ ..] if digits.first() != Some(&0) => digits,
        _ => return false,
    };
    INTERNATIONAL.contains(&digits.len())
        && calling_code(digits).is_some_and(|code| digits[code..].iter().any(|digit| *digit != 0))
        && !(is_amount(candidate) && digits.ends_with(&[0, 0, 0, 0, 0]))
        && !candidate.separators().any(|separator| separator.kind == Newline)
}

/// Returns the form if it is that of some country.
#[expect(clippy::match_same_arms, reason = "a table of countries")]
fn national(candidate: &Candidate<'_>, hints: Hints) -> Option<Form> {
    let (digits, lengths) = (candidate.digits(), candidate.lengths());
    if digits[0] == 0 {
        return with_zero(candidate);
    }
    let (first, second) = (digits[0], digits[1]);
    let uniform = candidate.uniform();
    let dashed = uniform.is_some_and(|separator| separator.kind == Dash);
    let last_dashed = candidate.separators().last().is_some_and(|separator| separator.kind == Dash);
    Some(match lengths {
        // North America
        [3, 3, 4] if first >= 2 => Form::Typical,
        [1, 3, 3, 4] if first == 1 && second >= 2 || first == 8 => Form::Typical,
        [3, 7] if first >= 2 && dashed => Form::Likely,
        // Free of charge, in several countries
        [4, 3, 3 | 4] if first == 1 => Form::Likely,
        // Russia and its neighbours; Turkey
        [1, 3, 3, 2, 2] if first == 7 || first == 8 => Form::Typical,
        [3, 3, 2, 2] => Form::Typical,
        // India
        [5, 5] if first >= 6 => only(candidate, &[Space, Dash], Form::Typical),
        // China
        [3, 4, 4] if first == 1 && second >= 3 => Form::Typical,
        // Brazil, Mexico, Argentina
        [2, 5, 4] if digits[2] == 9 => Form::Typical,
        [2, 8 | 9] if candidate.has_parenthesis() => Form::Typical,
        [2, 9] if digits[2] == 9 => Form::Likely,
        [2, 4, 4] if candidate.has_parenthesis() || last_dashed => Form::Typical,
        [2, 4, 4] => Form::Likely,
        // Spain, Poland, Portugal, and others
        [3, 2, 2, 2] if first >= 6 => Form::Typical,
        [3, 3, 3] if first >= 5 && dashed => Form::Typical,
        [3, 3, 3] if first >= 2 => Form::Likely,
        [2, 3, 2, 2] => Form::Likely,
        // Norway
        [3, 2, 3] if first == 4 || first == 9 => Form::Typical,
        // France, without its zero; Chile; Hungary
        [1, 2, 2, 2, 2] | [2, 3, 4] => Form::Likely,
        [1, 4, 4] if first == 9 => Form::Likely,
        [11] => return bare_eleven(first, second, digits[2], hints),
        [10] if first >= 2 => Form::Likely,
        // International, without the plus
        [2, 5, 5] | [2, 3, 4, 4] | [2, 2, 5, 4] if calling_code(digits) == Some(2) => Form::Typical,
        [1..=3, _, _, ..] if calling_code(digits) == Some(lengths[0]) && !is_amount(candidate) => {
            Form::Likely
        }
        _ if candidate.is_spelt() && (10..=11).contains(&digits.len()) => Form::Likely,
        _ => return None,
    })
}

/// Returns the form of eleven digits without separators.
fn bare_eleven(first: u8, second: u8, third: u8, hints: Hints) -> Option<Form> {
    match (first, second, third) {
        (1, 3..=9, _) if hints.unspaced => Some(Form::Typical),
        // China and North America; Russia; Brazil
        (1, 2..=9, _) | (7 | 8, 3 | 4 | 8 | 9, _) | (_, 1..=9, 9) => Some(Form::Likely),
        _ => None,
    }
}

fn only(candidate: &Candidate<'_>, kinds: &[SeparatorKind], form: Form) -> Form {
    let of_these = |separator: Separator| kinds.contains(&separator.kind) && !separator.wide;
    if candidate.separators().all(of_these) { form } else { Form::Possible }
}

/// Returns the form of a number with the zero that most countries put before the area code.
fn with_zero(candidate: &Candidate<'_>) -> Option<Form> {
    let (digits, lengths) = (candidate.digits(), candidate.lengths());
    if digits[1] == 0 || !NATIONAL.contains(&digits.len()) {
        return None;
    }
    let typical = match lengths {
        [length] => *length >= 10,
        _ if candidate.is_spelt() => true,
        // France; more groups of two are lottery numbers.
        [2, 2, 2, 2, 2] => !candidate.continues_list(),
        [] | [2, 2, 4, ..] | [2, 2, 2, 2, ..] => false,
        [1, area, ..] => (3..=4).contains(area) && !candidate.is_uniform(Dot),
        [first, rest @ ..] => (2..=6).contains(first) && rest.iter().all(|length| *length >= 2),
    };
    typical.then_some(Form::Typical)
}

/// Returns the form of a number that only the words identify as a phone number.
fn local(candidate: &Candidate<'_>, hints: Hints) -> Option<Form> {
    let (digits, lengths) = (candidate.digits(), candidate.lengths());
    let fraction = lengths.len() == 2 && (candidate.is_uniform(Dot) || candidate.is_uniform(Comma));
    let short = digits.len() == SHORT && hints.phone_just_before && lengths.len() < 4;
    (!fraction && (LOCAL.contains(&digits.len()) || short)).then_some(Form::Possible)
}
