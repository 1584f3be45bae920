//! Exact parser of decimal numbers: converts counts of a unit of time to whole microseconds.

use std::cmp::Ordering;

/// Most significant digits that are read exactly; of the rest it only matters if all are 0. A power
/// of ten with this many digits fits a `u128`.
const MAX_DIGITS: i32 = 38;
/// Most digits of a count of microseconds.
const MAX_MICRO_DIGITS: i32 = 19;

/// Number as it is written: `mantissa` × 10^`exponent`. If `more` is set, it is greater than that
/// by less than one unit of the last digit.
struct Decimal {
    negative: bool,
    mantissa: u128,
    /// Number of digits of the mantissa.
    digits: i32,
    exponent: i32,
    more: bool,
    /// It has a point or an exponent, like a float.
    is_float: bool,
}

/// Returns `true` if `text` is a decimal number.
pub(super) fn is_number(text: &str) -> bool {
    Decimal::parse(text).is_some()
}

/// Parses a count since 1970 and rounds it to microseconds, half of one up. Its size determines the
/// unit. Returns `None` if it is no number, or outside every calendar.
///
/// Senders write a float as its shortest decimal, which may be exactly half-way although the float
/// is not. The float decides then.
pub(super) fn micros(text: &str) -> Option<i64> {
    let number = Decimal::parse(text)?;
    if number.mantissa == 0 {
        return Some(0);
    }
    let places = match number.digits + number.exponent {
        ..=11 => 6,
        12..=14 => 3,
        15..=17 => 0,
        _ => -3,
    };
    let exponent = number.exponent + places;
    match number.digits + exponent {
        ..=-1 => return Some(0),
        length if length > MAX_MICRO_DIGITS => return None,
        _ => {}
    }
    let (whole, rest) = if exponent >= 0 {
        let ten_to = 10_u128.checked_pow(exponent.unsigned_abs())?;
        (number.mantissa.checked_mul(ten_to)?, Ordering::Less)
    } else {
        let ten_to = 10_u128.checked_pow(exponent.unsigned_abs())?;
        let (whole, rest) = (number.mantissa / ten_to, number.mantissa % ten_to);
        let rest = match rest.cmp(&(ten_to / 2)) {
            Ordering::Equal if number.more => Ordering::Greater,
            Ordering::Equal if number.is_float => beside_half(text, whole, places),
            other => other,
        };
        (whole, rest)
    };
    let up = match rest {
        Ordering::Greater => true,
        Ordering::Equal => !number.negative,
        Ordering::Less => false,
    };
    let micros = i64::try_from(whole + u128::from(up)).ok()?;
    Some(if number.negative { -micros } else { micros })
}

/// Compares the float of `text`, times 10^`places`, with `whole` + ½.
fn beside_half(text: &str, whole: u128, places: i32) -> Ordering {
    const FRACTION_BITS: u32 = 52;
    const BIAS: i32 = 1_075;
    let Ok(float) = text.parse::<f64>() else { return Ordering::Equal };
    let bits = float.abs().to_bits();
    let biased = i32::try_from(bits >> FRACTION_BITS).unwrap_or(i32::MAX);
    if !(1..2_047).contains(&biased) {
        return Ordering::Equal;
    }
    let fraction = bits & ((1 << FRACTION_BITS) - 1) | (1 << FRACTION_BITS);
    let power = biased - BIAS;
    // Double both sides, and multiply them so that neither has a fraction.
    let ten_to = 10_u128.pow(places.unsigned_abs());
    let (left, right) = (u128::from(fraction) * 2, whole * 2 + 1);
    let (left, right) =
        if places >= 0 { (left * ten_to, Some(right)) } else { (left, right.checked_mul(ten_to)) };
    let shift = |value: u128, by: u32| (by < value.leading_zeros()).then(|| value << by);
    let (left, right) = if power >= 0 {
        (shift(left, power.unsigned_abs()), right)
    } else {
        (Some(left), right.and_then(|right| shift(right, power.unsigned_abs())))
    };
    match (left, right) {
        (Some(left), Some(right)) => left.cmp(&right),
        // Numbers of such sizes are no times, so the rounding does not matter.
        _ => Ordering::Equal,
    }
}

impl Decimal {
    /// Parses a sign, digits, a point, digits, an exponent; returns `None` for any other text.
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let (mut mantissa, mut digits, mut exponent) = (0_u128, 0, 0_i32);
        let (mut more, mut point, mut any) = (false, false, false);
        let mut at = 0;
        for byte in rest {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    if digits < MAX_DIGITS {
                        mantissa = mantissa * 10 + u128::from(byte - b'0');
                        digits += i32::from(mantissa > 0);
                        exponent = exponent.checked_sub(i32::from(point))?;
                    } else {
                        more |= *byte != b'0';
                        exponent = exponent.checked_add(i32::from(!point))?;
                    }
                }
                b'.' if !point => point = true,
                _ => break,
            }
            at += 1;
        }
        let power = match &rest[at..] {
            [] => 0,
            [b'e' | b'E', power @ ..] => power_of_ten(power)?,
            _ => return None,
        };
        let is_float = point || at < rest.len();
        // A number with an exponent outside these bounds is 0 or larger than all times, as at the
        // bounds.
        let exponent = exponent.saturating_add(power).clamp(-1_000_000, 1_000_000);
        any.then_some(Self { negative, mantissa, digits, exponent, more, is_float })
    }
}

fn power_of_ten(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i32, |size, digit| {
        size.saturating_mul(10).saturating_add(i32::from(digit - b'0')).min(1_000_000)
    });
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn number_is_rounded_once_and_half_a_microsecond_up() {
        for (text, expected) in [
            ("1790607268.4630074", 1_790_607_268_463_007),
            // The text is half-way; its float is below.
            ("1790607268.4630075", 1_790_607_268_463_007),
            ("1790607268.4630076", 1_790_607_268_463_008),
            // Its float is above.
            ("1790607268.9325485", 1_790_607_268_932_549),
            // More digits than a float has.
            ("1790607268.46300749999999999999", 1_790_607_268_463_007),
            ("1790607268.46300750000000000001", 1_790_607_268_463_008),
            ("1790607268.463007500000000000000000000000000000000000001", 1_790_607_268_463_008),
            // The float is half-way, too: 2^-7 s.
            ("1790607268.0078125", 1_790_607_268_007_813),
            ("1790607268463.5", 1_790_607_268_463_500),
            ("1790607268463007500", 1_790_607_268_463_008),
            ("1790607268463007499", 1_790_607_268_463_007),
            ("1790607268463007.5", 1_790_607_268_463_008),
            ("1.7906072684630076e9", 1_790_607_268_463_008),
            ("17906072684630076E-7", 1_790_607_268_463_008),
            ("-0.0000005", 0),
            ("-0.0000006", -1),
            ("0.0000005", 0),
            ("0.0000006", 1),
            ("0.00000004", 0),
            ("-1", -1_000_000),
            ("00001", 1_000_000),
            ("1e-400", 0),
        ] {
            assert_eq!(micros(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in ["", "-", ".", "e5", "1e", "1e+", "1.2.3", "0x10", "1_000", "NaN", "inf", " 1"]
        {
            assert!(!is_number(text), "{text}");
            assert_eq!(micros(text), None, "{text}");
        }
        for text in ["1e300", "1e999999999999", "9223372036854775808000"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    proptest! {
        /// Compares with integer arithmetic.
        #[test]
        fn nanoseconds_are_rounded_to_the_nearest_microsecond(nanos in 1_300_000_000_000_000_000_u64..4_000_000_000_000_000_000) {
            let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
            prop_assume!(nanos % 1_000 != 500);
            let expected = i64::try_from((nanos + 500) / 1_000).unwrap();
            prop_assert_eq!(micros(&text), Some(expected));
            prop_assert_eq!(micros(&nanos.to_string()), Some(expected));
        }

        /// Compares with the microsecond nearest to the float itself.
        #[test]
        fn float_is_rounded_to_the_nearest_microsecond(
            second in 1_300_000_000_u64..1 << 31, part in 0_u64..1 << 22,
        ) {
            #[expect(clippy::cast_precision_loss, reason = "exact: 31 and 22 bits")]
            let float = second as f64 + part as f64 / f64::from(1 << 22);
            // part × 10^6 / 2^22, half up.
            let micro = (part * 1_000_000 + (1 << 21)) >> 22;
            let expected = i64::try_from(second * 1_000_000 + micro).unwrap();
            prop_assert_eq!(micros(&format!("{float:?}")), Some(expected));
        }

        #[test]
        fn parsing_any_text_does_not_panic(text in "[-+]?[0-9]{0,50}\\.?[0-9]{0,50}([eE][-+]?[0-9]{0,12})?") {
            let _ = micros(&text);
        }
    }
}
