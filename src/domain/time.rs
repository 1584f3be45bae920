//! The sender's times: Unix seconds as floats, milliseconds, ISO 8601 text, numbers in quotes.

use chrono::{DateTime, NaiveDateTime, Utc};

/// Microseconds in a second.
const MICROS: f64 = 1e6;

// Which times make sense. The window is absolute, not measured from the arrival: a repeat that
// arrives a day later must be judged as the first was, or it would be stored a second time.
const EARLIEST: i64 = 1_262_304_000; // 2010-01-01, years before the sender existed
const LATEST: i64 = 4_102_444_800; // 2100-01-01

/// A count since 1970 as the sender writes it, in seconds, or by its size in milliseconds (13
/// digits), microseconds (16) or nanoseconds (19). `None` where it makes no sense as a time.
#[must_use]
pub fn from_unix(count: f64) -> Option<DateTime<Utc>> {
    let seconds = match count.abs() {
        size if size < 1e11 => count,
        size if size < 1e14 => count / 1e3,
        size if size < 1e17 => count / 1e6,
        _ => count / 1e9,
    };
    // A float of today's seconds has steps of 0.24 µs, so rounding finds the microsecond that the
    // sender meant, and truncating would miss it half of the time.
    let micros = (seconds * MICROS).round();
    #[expect(clippy::cast_precision_loss, reason = "the bounds are far below 2^53 microseconds")]
    let sensible = micros >= EARLIEST as f64 * MICROS && micros < LATEST as f64 * MICROS;
    // NaN and the infinities compare as not sensible.
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the bounds above")]
    sensible.then(|| DateTime::from_timestamp_micros(micros as i64)).flatten()
}

/// A time as text: RFC 3339, the same without an offset (then UTC), or a number in quotes.
#[must_use]
pub fn from_text(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(count) = text.parse::<f64>() {
        return from_unix(count);
    }
    let parsed = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc()).ok().or_else(|| {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
            .iter()
            .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
            .map(|at| at.and_utc())
    })?;
    sensible(round_to_micros(parsed)?)
}

fn sensible(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (EARLIEST..LATEST).contains(&at.timestamp()).then_some(at)
}

/// Half a microsecond up to the next whole one.
fn round_to_micros(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(
        at.timestamp_micros() + i64::from(at.timestamp_subsec_nanos() % 1_000 >= 500),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(at: Option<DateTime<Utc>>) -> Option<i64> {
        at.map(|at| at.timestamp_micros())
    }

    #[test]
    fn a_float_of_seconds_is_rounded_to_its_microsecond() {
        assert_eq!(micros(from_unix(1_790_607_268.895_697_8)), Some(1_790_607_268_895_698));
        assert_eq!(micros(from_unix(1_705_312_285.0)), Some(1_705_312_285_000_000));
    }

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        for count in [1_705_312_285.0, 1_705_312_285e3, 1_705_312_285e6, 1_705_312_285e9] {
            assert_eq!(micros(from_unix(count)), Some(1_705_312_285_000_000), "{count}");
        }
    }

    #[test]
    fn a_number_that_makes_no_sense_is_no_time() {
        for count in [0.0, -1.0, -1_705_312_285.0, 1e300, f64::NAN, f64::INFINITY, 5e9] {
            assert_eq!(from_unix(count), None, "{count}");
        }
    }

    #[test]
    fn text_is_read_in_the_forms_that_occur() {
        for text in [
            "2024-01-15T10:31:25Z",
            "2024-01-15T11:31:25+01:00",
            "2024-01-15T10:31:25",
            "2024-01-15 10:31:25.000",
            " 1705314685 ",
            "1705314685.0",
            "1705314685000",
        ] {
            assert_eq!(micros(from_text(text)), Some(1_705_314_685_000_000), "{text}");
        }
        assert_eq!(micros(from_text("2024-01-15T10:31:25.0000016Z")), Some(1_705_314_685_000_002));
        for text in ["", "NaN", "inf", "yesterday", "2024-13-01T00:00:00Z", "1999-01-01T00:00:00Z"]
        {
            assert_eq!(from_text(text), None, "{text}");
        }
    }
}
