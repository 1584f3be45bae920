//! Times as a person reads them who lives in some time zone.
//!
//! Every time of day has its offset from UTC beside it: where clocks are put back an hour comes
//! twice, and only the offset distinguishes the two.

use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::api::query::zone::Zone;

impl Zone {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day on which something happened.
    pub(super) fn day(self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.0).date_naive()
    }

    /// `14:53:13 +02:00`.
    pub(super) fn time_of_day(self, at: DateTime<Utc>) -> String {
        format!("{} {}", at.with_timezone(&self.0).format("%H:%M:%S"), self.offset(at))
    }

    /// `2026-09-28 14:53:13 +02:00`.
    pub(super) fn day_and_time(self, at: DateTime<Utc>) -> String {
        format!("{} {}", self.day(at), self.time_of_day(at))
    }

    /// For a program that wants local time: `2026-09-28T14:53:13.000007+02:00`.
    pub(super) fn to_rfc3339(self, at: DateTime<Utc>) -> String {
        at.with_timezone(&self.0).to_rfc3339_opts(SecondsFormat::Micros, false)
    }

    fn offset(self, at: DateTime<Utc>) -> String {
        if self.0 == Tz::UTC {
            return "UTC".to_owned();
        }
        at.with_timezone(&self.0).format("%:z").to_string()
    }
}

/// `Monday, 28 September 2026`.
pub(super) fn in_words(day: NaiveDate) -> String {
    day.format("%A, %-d %B %Y").to_string()
}

/// A length of time by its two largest units: `47 minutes`, `3 hours and 5 minutes`. What is less
/// than the smaller one is left out.
pub(super) fn length_in_words(length: TimeDelta) -> String {
    let unit = |count: i64, name: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {name}{plural}")
    };
    let both = |(count, name), (rest, smaller)| match rest {
        0 => unit(count, name),
        _ => format!("{} and {}", unit(count, name), unit(rest, smaller)),
    };
    match length.num_seconds() {
        seconds @ ..120 => unit(seconds, "second"),
        120..3_600 => unit(length.num_minutes(), "minute"),
        3_600..86_400 => both((length.num_hours(), "hour"), (length.num_minutes() % 60, "minute")),
        _ => both((length.num_days(), "day"), (length.num_hours() % 24, "hour")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_that_comes_twice_has_two_offsets_and_one_that_is_left_out_none() {
        let berlin = Zone(Tz::Europe__Berlin);
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(berlin.time_of_day(at("2026-10-25T00:30:00Z")), "02:30:00 +02:00");
        assert_eq!(berlin.time_of_day(at("2026-10-25T01:30:00Z")), "02:30:00 +01:00");
        assert_eq!(berlin.day_and_time(at("2026-03-29T00:59:59Z")), "2026-03-29 01:59:59 +01:00");
        assert_eq!(berlin.day_and_time(at("2026-03-29T01:00:00Z")), "2026-03-29 03:00:00 +02:00");
        assert_eq!(
            berlin.to_rfc3339(at("2026-10-24T23:30:00.000007Z")),
            "2026-10-25T01:30:00.000007+02:00"
        );
        assert_eq!(Zone::UTC.time_of_day(at("2026-10-25T00:30:00Z")), "00:30:00 UTC");
        assert_eq!(in_words(berlin.day(at("2026-10-24T22:30:00Z"))), "Sunday, 25 October 2026");
    }

    #[test]
    fn a_length_of_time_is_told_by_its_two_largest_units() {
        for (seconds, words) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (47 * 60 + 59, "47 minutes"),
            (3_600, "1 hour"),
            (3_660, "1 hour and 1 minute"),
            (86_399, "23 hours and 59 minutes"),
            (86_400, "1 day"),
            (400 * 86_400 + 7_200, "400 days and 2 hours"),
        ] {
            assert_eq!(length_in_words(TimeDelta::seconds(seconds)), words);
        }
    }
}
