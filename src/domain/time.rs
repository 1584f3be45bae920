//! Parser of times from senders and callers: Unix seconds as floats, milliseconds, ISO 8601 text,
//! numbers in quotes.
//!
//! A number is read from its decimal text and rounded once, to the nearest microsecond.

mod decimal;

use chrono::{DateTime, NaiveDateTime, Utc};

// Valid times. The bounds do not depend on the arrival: a duplicate that arrives a day later must
// be decoded in the same way, or it would be stored twice.
const EARLIEST: i64 = 1_262_304_000; // 2010-01-01, years before the sender existed
const LATEST: i64 = 4_102_444_800; // 2100-01-01

/// Parses a number since 1970: seconds, or by its size milliseconds (12 to 14 digits), microseconds
/// (up to 17) or nanoseconds. Returns `None` if it is no valid time.
#[must_use]
pub fn from_number(text: &str) -> Option<DateTime<Utc>> {
    valid(any_from_number(text)?)
}

/// Parses a text: ISO 8601 with date and time of day, in UTC if it has no offset; or a number.
/// Returns `None` if it is no valid time.
#[must_use]
pub fn from_text(text: &str) -> Option<DateTime<Utc>> {
    valid(any_from_text(text)?)
}

/// Parses a text like [`from_text`], but accepts all times of the calendar, since a bound may be
/// outside the valid times.
#[must_use]
pub fn any_from_text(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if decimal::is_number(text) { any_from_number(text) } else { round_to_micros(from_iso(text)?) }
}

fn any_from_number(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_micros(decimal::micros(text)?)
}

/// Parses ISO 8601, which is wider than RFC 3339: the offset may be absent or lack its colon or
/// minutes, seconds may be absent, and their fraction may follow a comma. A space in place of the T
/// is accepted because it occurs.
fn from_iso(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let text = text.replacen(['T', 't'], " ", 1).replacen(',', ".", 1);
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y%m%d %H%M%S%.f"].iter().find_map(|form| {
        let offset = DateTime::parse_from_str(&text, &format!("{form}%#z"));
        let at = offset.map(|at| at.to_utc());
        at.or_else(|_| NaiveDateTime::parse_from_str(&text, form).map(|at| at.and_utc())).ok()
    })
}

fn valid(at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    (EARLIEST..LATEST).contains(&at.timestamp()).then_some(at)
}

/// Rounds to microseconds, half of one up.
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
    fn number_of_seconds_is_rounded_to_microseconds() {
        assert_eq!(micros(from_number("1790607268.8956978")), Some(1_790_607_268_895_698));
        assert_eq!(micros(from_number("1705312285.0")), Some(1_705_312_285_000_000));
    }

    #[test]
    fn size_of_a_number_determines_its_unit() {
        for count in [
            "1705312285",
            "1705312285000",
            "1705312285000000",
            "1705312285000000000",
            "17.05312285e8",
        ] {
            assert_eq!(micros(from_number(count)), Some(1_705_312_285_000_000), "{count}");
        }
    }

    #[test]
    fn number_outside_the_valid_times_is_rejected() {
        for count in ["0", "-1", "-1705312285", "1e300", "1e-300", "NaN", "inf", "5e9", "1.7.0", ""]
        {
            assert_eq!(from_number(count), None, "{count}");
        }
    }

    #[test]
    fn text_is_parsed_in_all_common_forms() {
        for text in [
            "2024-01-15T10:31:25Z",
            "2024-01-15T11:31:25+01:00",
            "2024-01-15T10:31:25",
            "2024-01-15 10:31:25.000",
            " 1705314685 ",
            "1705314685.0",
            "1705314685000",
            "2024-01-15T10:31:25+0000",
            "2024-01-15T12:01:25+0130",
            "2024-01-15T10:31:25.000+00",
            "2024-01-15T05:31:25-05",
            "2024-01-15 10:31:25Z",
            "2024-01-15 10:31:25 +0000",
            "2024-01-15t10:31:25z",
            "2024-01-15T10:31:25,0Z",
            "20240115T103125Z",
            "20240115T103125",
            "20240115T113125+0100",
        ] {
            assert_eq!(micros(from_text(text)), Some(1_705_314_685_000_000), "{text}");
        }
        assert_eq!(micros(from_text("2024-01-15T10:31:25.0000016Z")), Some(1_705_314_685_000_002));
        for text in [
            "2024-01-15T10:31Z",
            "2024-01-15 10:31",
            "2024-01-15T11:31+0100",
            "2024-01-15T10:31+00:00",
        ] {
            assert_eq!(micros(from_text(text)), Some(1_705_314_660_000_000), "{text}");
        }
        for text in [
            "",
            "NaN",
            "inf",
            "yesterday",
            "2024-13-01T00:00:00Z",
            "1999-01-01T00:00:00Z",
            "2024-01-15",
            "2024-01-15T10Z",
            "2024-01-15T10:31:25+1",
            "2024-01-15T10:31:25 UTC",
            "2024-01-15T10:61Z",
        ] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn bound_can_be_any_time_of_the_calendar() {
        for (text, seconds) in [
            ("0", 0),
            ("-1", -1),
            ("5e9", 5_000_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2100-01-01", -1),
        ] {
            let at = any_from_text(text).map(|at| at.timestamp());
            assert_eq!(at, (text != "2100-01-01").then_some(seconds), "{text}");
        }
        for text in ["1e300", "-1e300", "NaN", "inf", "-inf", "", "yesterday"] {
            assert_eq!(any_from_text(text), None, "{text}");
        }
    }
}
