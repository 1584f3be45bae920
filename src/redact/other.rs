//! Numbers that are neither phone nor card: dates, amounts, IP addresses, accounts.

use super::candidate::Candidate;
use super::groups::{Edge, SeparatorKind};

/// Fewest digits of anything that could be mistaken for a phone number or part of one.
const FEWEST_DIGITS: usize = 4;

/// Returns the weight of these groups as something else than a phone or card number.
pub(super) fn weight(candidate: &Candidate<'_>, text: &str) -> Option<u32> {
    if candidate.digits().len() < FEWEST_DIGITS {
        return None;
    }
    let weight = if is_iban(candidate, text) {
        300
    } else if candidate.has_plus() && !is_amount(candidate) {
        return None;
    } else if is_amount(candidate) && candidate.is_uniform(SeparatorKind::Comma)
        || is_amount_with_fraction(candidate)
        || is_ip(candidate)
        || is_times(candidate)
        || is_national_id(candidate)
    {
        130
    } else if is_date(candidate) {
        90
    } else {
        return None;
    };
    Some(weight + u32::try_from(candidate.digits().len()).unwrap_or(0))
}

/// Returns `true` if all groups except the first have three digits.
pub(super) fn is_amount(candidate: &Candidate<'_>) -> bool {
    use SeparatorKind::{Comma, Dot, Space};
    let kinds = [Comma, Dot, Space];
    kinds.into_iter().any(|kind| candidate.is_uniform(kind))
        && matches!(candidate.lengths(), [1..=3, others @ ..] if others.iter().all(|length| *length == 3))
}

/// Returns `true` for groups of three with one separator, then another separator and one or two
/// digits.
fn is_amount_with_fraction(candidate: &Candidate<'_>) -> bool {
    use SeparatorKind::{Comma, Dot, Space};
    let [1..=3, thousands @ .., 1 | 2] = candidate.lengths() else { return false };
    let mut separators = candidate.separators();
    let Some(first) = separators.next() else { return false };
    let rest: Vec<_> = separators.collect();
    let Some((last, rest)) = rest.split_last() else { return false };
    !thousands.is_empty()
        && thousands.iter().all(|length| *length == 3)
        && rest.iter().all(|separator| *separator == first)
        && [Comma, Dot, Space].contains(&first.kind)
        && [Comma, Dot].contains(&last.kind)
        && first.kind != last.kind
        && !first.wide
        && !last.wide
}

fn is_ip(candidate: &Candidate<'_>) -> bool {
    let octets = candidate.groups().iter().zip(candidate.lengths());
    candidate.lengths().len() == 4
        && candidate.is_uniform(SeparatorKind::Dot)
        && candidate.is_apart(":,/")
        && octets
            .fold((0, true), |(at, all), (_, length)| {
                let digits = &candidate.digits()[at..at + length];
                let octet =
                    *length <= 3 && value(digits) <= 255 && (*length == 1 || digits[0] != 0);
                (at + length, all && octet)
            })
            .1
}

/// Returns `true` for times of day such as `0930`, at multiples of five minutes.
fn is_times(candidate: &Candidate<'_>) -> bool {
    let is_time = |digits: &[u8]| {
        let (hour, minute) = (value(&digits[..2]), value(&digits[2..]));
        hour < 24 && minute < 60 && minute.is_multiple_of(5)
    };
    candidate.lengths().len() > 1
        && candidate.lengths().iter().all(|length| *length == 4)
        && candidate.digits().chunks(4).all(is_time)
}

fn value(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |value: u32, digit| value.saturating_mul(10).saturating_add(u32::from(*digit)))
}

/// Returns `true` for the form of a national ID of the United States or Brazil.
fn is_national_id(candidate: &Candidate<'_>) -> bool {
    use SeparatorKind::{Dash, Dot, Slash};
    let kinds: Vec<_> = candidate.separators().map(|separator| separator.kind).take(4).collect();
    matches!(
        (candidate.lengths(), &kinds[..]),
        ([3, 2, 4], [Dash, Dash])
            | ([3, 3, 3, 2], [Dot, Dot, Dash])
            | ([2, 3, 3, 4, 2], [Dot, Dot, Slash, Dash])
    )
}

fn is_date(candidate: &Candidate<'_>) -> bool {
    use SeparatorKind::{Dash, Dot, Slash, Space};
    let [first, second, third] = candidate.lengths() else { return false };
    let kinds: &[_] =
        if first + second + third == 8 { &[Dash, Dot, Slash, Space] } else { &[Dash, Dot, Slash] };
    if !kinds.iter().any(|kind| candidate.is_uniform(*kind)) {
        return false;
    }
    let digits = candidate.digits();
    let one = value(&digits[..*first]);
    let two = value(&digits[*first..first + second]);
    let three = value(&digits[first + second..]);
    let is_day = |value| (1..=31).contains(&value);
    let is_month = |value| (1..=12).contains(&value);
    let is_year = |value, length| length == 2 || length == 4 && (1800..=2199).contains(&value);
    match (first, second, third) {
        (4, 1 | 2, 1 | 2) => is_year(one, 4) && is_month(two) && is_day(three),
        (1 | 2, 1 | 2, 2 | 4) => {
            // The month comes first with a slash only.
            let american = candidate.is_uniform(Slash) && is_month(one) && is_day(two);
            is_year(three, *third) && (is_day(one) && is_month(two) || american)
        }
        _ => false,
    }
}

/// Returns `true` for two letters, two check digits and an account number, whose remainder by 97
/// is one (ISO 13616).
fn is_iban(candidate: &Candidate<'_>, text: &str) -> bool {
    let first = candidate.first();
    if first.left != Edge::Word || candidate.digits().len() < 12 {
        return false;
    }
    let Some(country) = first.start.checked_sub(2).and_then(|at| text.get(at..first.start)) else {
        return false;
    };
    let [one, two] = country.as_bytes() else { return false };
    if ![one, two].iter().all(|letter| letter.is_ascii_alphabetic()) {
        return false;
    }
    let letter = |letter: &u8| u32::from(letter.to_ascii_uppercase() - b'A') + 10;
    let (check, account) = candidate.digits().split_at(2);
    let remainder = account.iter().fold(0, |rest, digit| (rest * 10 + u32::from(*digit)) % 97);
    let remainder = (remainder * 100 + letter(one)) % 97;
    let remainder = (remainder * 100 + letter(two)) % 97;
    (remainder * 100 + value(check)) % 97 == 1
}
