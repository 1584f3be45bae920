//! Time zones in queries, and instants of local dates and times.

use chrono::{
    DateTime, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Limit on how far clocks are set forward, and on the distance of a zone from UTC.
const MAX_GAP_DAYS: i64 = 2;
/// Forms of local times, with a `T` or a space.
const LOCAL_FORMS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
/// Length of `2026-09-28`.
const DATE_LENGTH: usize = 10;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone(pub(crate) Tz);

impl Zone {
    pub(crate) const UTC: Self = Self(Tz::UTC);

    /// Reads a parameter, or returns a description of valid values.
    pub(super) fn parse_parameter(text: &str) -> Result<Self, &'static str> {
        Self::parse(text).ok_or(
            "is a time zone by its name in the IANA's list: Europe/Berlin, America/New_York, UTC",
        )
    }

    /// Finds a zone by its name in any case.
    fn parse(text: &str) -> Option<Self> {
        // A plus that was not percent-encoded arrives as a space: `Etc/GMT+3`. No name holds one.
        let name = text.replace(' ', "+");
        let in_any_case =
            || TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(&name)).copied();
        name.parse().ok().or_else(in_any_case).map(Self)
    }

    /// Returns the first instant of a day; of the day after it where the zone skipped the day.
    pub(crate) fn start_of(self, day: NaiveDate) -> DateTime<Utc> {
        self.first_instant_of(day.and_time(NaiveTime::MIN))
    }

    /// Returns the first instant at which clocks show a local time, or are set forward over it.
    pub(crate) fn first_instant_of(self, local: NaiveDateTime) -> DateTime<Utc> {
        match self.0.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
            LocalResult::None => self.end_of_gap(local),
        }
    }

    /// Returns the instant at which clocks are set forward over a local time.
    fn end_of_gap(self, local: NaiveDateTime) -> DateTime<Utc> {
        let (mut before, mut after) = (-MAX_GAP_DAYS * 86_400, MAX_GAP_DAYS * 86_400);
        // Clocks are set at whole seconds.
        let at = |seconds| (local + TimeDelta::seconds(seconds)).and_utc();
        while after - before > 1 {
            let middle = before.midpoint(after);
            let shown = at(middle).with_timezone(&self.0).naive_local();
            *(if shown < local { &mut before } else { &mut after }) = middle;
        }
        let second = at(after);
        second - TimeDelta::nanoseconds(second.timestamp_subsec_nanos().into())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_parameter(&text).map_err(D::Error::custom)
    }
}

/// Reads a date, which has one form: `2026-09-28`.
pub(crate) fn date(text: &str) -> Option<NaiveDate> {
    let plain = text.len() == DATE_LENGTH && text.starts_with(|c: char| c.is_ascii_digit());
    plain.then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()).flatten()
}

/// Reads a date and a time of day without an offset from UTC.
pub(crate) fn local_time(text: &str) -> Option<NaiveDateTime> {
    LOCAL_FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(zone: &str, day: &str) -> String {
        let start = Zone::parse(zone).unwrap().start_of(date(day).unwrap());
        start.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }

    #[test]
    fn a_day_begins_at_its_first_instant() {
        for (zone, day, expected) in [
            ("UTC", "2026-09-28", "2026-09-28T00:00:00Z"),
            ("Europe/Berlin", "2026-09-28", "2026-09-27T22:00:00Z"),
            ("Asia/Kathmandu", "2026-09-28", "2026-09-27T18:15:00Z"),
            // Clocks go from 00:00 to 01:00: there is no midnight.
            ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
            ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z"),
            // From 01:00 back to 00:00: midnight comes twice.
            ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),
            // From 00:00 back to 23:00 of the day before.
            ("Africa/Cairo", "2026-10-30", "2026-10-29T22:00:00Z"),
            // From 00:01 back to 23:01: a day of a minute, and then the rest of it.
            ("America/St_Johns", "2006-10-29", "2006-10-29T02:30:00Z"),
            // The day was left out.
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
            ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
        ] {
            assert_eq!(start(zone, day), expected, "{zone} {day}");
        }
    }

    #[test]
    fn every_day_of_every_zone_begins_where_its_date_does() {
        let days = date("2026-01-01").unwrap().iter_days().take(365);
        let zones: Vec<_> = TZ_VARIANTS.iter().copied().map(Zone).collect();
        for day in days {
            for zone in &zones {
                let start = zone.start_of(day);
                let shown = |at: DateTime<Utc>| at.with_timezone(&zone.0).date_naive();
                assert_eq!(shown(start), day, "{zone:?}");
                assert_ne!(shown(start - TimeDelta::microseconds(1)), day, "{zone:?} {day}");
            }
        }
    }

    #[test]
    fn a_zone_is_known_in_any_case() {
        for (text, name) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("AMERICA/NEW_YORK", "America/New_York"),
            ("utc", "UTC"),
            ("etc/gmt 3", "Etc/GMT+3"),
        ] {
            assert_eq!(Zone::parse(text).unwrap().0.name(), name);
        }
        for unknown in ["", "Berlin", "Europe/Berlin ", "+02:00", "Europe/Atlantis", "CEST!"] {
            assert_eq!(Zone::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_date_is_written_in_one_way() {
        assert!(date("2026-02-28").is_some() && date("9999-12-31").is_some());
        for other in
            ["2026-02-29", "2026-2-28", "20260228", "2026-02-28T", "+026-02-28", "02/28/2026"]
        {
            assert_eq!(date(other), None, "{other}");
        }
    }

    #[test]
    fn a_local_time_that_is_left_out_is_the_end_of_the_gap() {
        let at = |zone: &str, text: &str| {
            let at = Zone::parse(zone).unwrap().first_instant_of(local_time(text).unwrap());
            at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
        };
        assert_eq!(at("Europe/Berlin", "2026-03-29T02:30:00.25"), "2026-03-29T01:00:00Z");
        assert_eq!(at("Europe/Berlin", "2026-10-25 02:30"), "2026-10-25T00:30:00Z");
        assert_eq!(at("Europe/Berlin", "2026-09-28T08:00"), "2026-09-28T06:00:00Z");
    }
}
