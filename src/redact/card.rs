//! Payment card numbers.

use super::candidate::Candidate;
use super::groups::SeparatorKind;

/// Number of digits of a payment card number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Number ranges of networks: length of the prefix, its least and greatest value, and the fewest
/// and most digits of a number.
const NETWORKS: [(usize, u32, u32, usize, usize); 23] = [
    // Visa
    (1, 4, 4, 16, 16),
    (1, 4, 4, 13, 13),
    (1, 4, 4, 19, 19),
    // Mastercard
    (2, 51, 55, 16, 16),
    (4, 2221, 2720, 16, 16),
    // American Express
    (2, 34, 34, 15, 15),
    (2, 37, 37, 15, 15),
    // Diners Club
    (3, 300, 305, 14, 19),
    (4, 3095, 3095, 14, 19),
    (2, 36, 36, 14, 19),
    (2, 38, 39, 14, 19),
    // JCB
    (4, 3528, 3589, 16, 19),
    (4, 1800, 1800, 15, 15),
    (4, 2131, 2131, 15, 15),
    // Mir, Borica
    (4, 2200, 2205, 16, 19),
    // Maestro, Verve, Elo, Dankort, RuPay
    (2, 50, 50, 13, 19),
    (2, 56, 58, 13, 19),
    // Maestro, Discover, UnionPay, RuPay, Troy
    (1, 6, 6, 13, 19),
    // UnionPay, RuPay
    (2, 81, 82, 16, 19),
    // Uzcard, Humo
    (4, 8600, 8600, 16, 16),
    (4, 9860, 9860, 16, 16),
    // Troy
    (4, 9792, 9792, 16, 16),
    // UATP
    (1, 1, 1, 15, 15),
];

/// Returns `true` if the digits are a card number: prefix and length of a network, and a correct
/// check digit.
pub(super) fn is_card(candidate: &Candidate<'_>) -> bool {
    let digits = candidate.digits();
    DIGITS.contains(&digits.len())
        && of_network(digits)
        && candidate.is_closed()
        && !candidate.has_plus()
        && passes_luhn(digits)
}

fn of_network(digits: &[u8]) -> bool {
    NETWORKS.iter().any(|(length, least, greatest, fewest, most)| {
        (fewest..=most).contains(&&digits.len())
            && (least..=greatest).contains(&&number(&digits[..*length]))
    })
}

fn number(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |number, digit| 10 * number + u32::from(*digit))
}

/// Returns `true` if the digits are grouped as on a card, or evenly as when read out.
pub(super) fn is_grouped(candidate: &Candidate<'_>) -> bool {
    let lengths = candidate.lengths();
    let as_printed = matches!(
        lengths,
        [_] | [4, 4, 4, 1 | 3 | 4]
            | [4, 6, 4 | 5]
            | [4, 4, 4, 4, 1..=3]
            | [8, 8]
            | [6, 13]
            | [4, 4, 8]
            | [4, 8, 4]
    );
    let (last, others) = lengths.split_last().unwrap_or((&0, &[]));
    let alike = others.len() > 1
        && candidate.uniform().is_some()
        && others.iter().all(|length| length == &others[0])
        && others.first().is_some_and(|length| last <= length);
    as_printed && candidate.separators().all(|separator| separator.kind != SeparatorKind::Break)
        || alike
}

/// Luhn check.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit * 2)) {
            (0, _) => u32::from(*digit),
            (_, double) => double / 10 + double % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}
