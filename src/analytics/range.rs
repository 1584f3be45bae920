//! Ranges that a request names: periods around the present moment, and the earlier range that one
//! is compared with.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, TimeDelta, Utc};

use super::calendar::{Bucket, Calendar, Span};

/// Named range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// The local day.
    Today,
    /// The local day before.
    Yesterday,
    /// The 24 hours up to now.
    Last24h,
    /// The 7 times 24 hours up to now.
    Last7d,
    /// The 30 times 24 hours up to now.
    Last30d,
    /// The 90 times 24 hours up to now.
    Last90d,
    /// The local week.
    ThisWeek,
    /// The local week before.
    LastWeek,
    /// The local month.
    ThisMonth,
    /// The local month before.
    LastMonth,
    /// The local year.
    ThisYear,
}

/// Earlier range that a range is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The unit of the calendar before, for periods that are one; otherwise the range of the same
    /// length right before.
    Previous,
    /// As few whole weeks earlier as do not overlap.
    SameWeekdays,
    /// The same local dates a year earlier.
    PreviousYear,
}

/// Unit of the calendar that a period covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    /// All periods.
    pub const ALL: [Self; 11] = [
        Self::Today,
        Self::Yesterday,
        Self::Last24h,
        Self::Last7d,
        Self::Last30d,
        Self::Last90d,
        Self::ThisWeek,
        Self::LastWeek,
        Self::ThisMonth,
        Self::LastMonth,
        Self::ThisYear,
    ];

    /// Name in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Yesterday => "yesterday",
            Self::Last24h => "last_24h",
            Self::Last7d => "last_7d",
            Self::Last30d => "last_30d",
            Self::Last90d => "last_90d",
            Self::ThisWeek => "this_week",
            Self::LastWeek => "last_week",
            Self::ThisMonth => "this_month",
            Self::LastMonth => "last_month",
            Self::ThisYear => "this_year",
        }
    }

    /// Returns the range of the period at `now`. It extends to the end of the period, even if that
    /// is in the future.
    #[must_use]
    pub fn span(self, calendar: Calendar, now: DateTime<Utc>) -> Span {
        let today = calendar.day(now);
        match self {
            Self::Today => Unit::Day.around(calendar, today),
            Self::ThisWeek => Unit::Week.around(calendar, today),
            Self::ThisMonth => Unit::Month.around(calendar, today),
            Self::ThisYear => Unit::Year.around(calendar, today),
            Self::Yesterday => Unit::Day.before(calendar, Self::Today.span(calendar, now)),
            Self::LastWeek => Unit::Week.before(calendar, Self::ThisWeek.span(calendar, now)),
            Self::LastMonth => Unit::Month.before(calendar, Self::ThisMonth.span(calendar, now)),
            Self::Last24h => last_days(now, 1),
            Self::Last7d => last_days(now, 7),
            Self::Last30d => last_days(now, 30),
            Self::Last90d => last_days(now, 90),
        }
    }

    fn unit(self) -> Option<Unit> {
        match self {
            Self::Today | Self::Yesterday => Some(Unit::Day),
            Self::ThisWeek | Self::LastWeek => Some(Unit::Week),
            Self::ThisMonth | Self::LastMonth => Some(Unit::Month),
            Self::ThisYear => Some(Unit::Year),
            Self::Last24h | Self::Last7d | Self::Last30d | Self::Last90d => None,
        }
    }
}

fn last_days(now: DateTime<Utc>, days: i64) -> Span {
    Span { from: now - TimeDelta::days(days), to: now }
}

impl Unit {
    /// Returns the first day of the unit that contains a day.
    fn first_day(self, calendar: Calendar, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => calendar.first_day(Bucket::Week, day),
            Self::Month => calendar.first_day(Bucket::Month, day),
            Self::Year => day - Days::new(u64::from(day.ordinal0())),
        }
    }

    /// Returns the unit that contains a day.
    fn around(self, calendar: Calendar, day: NaiveDate) -> Span {
        let first = self.first_day(calendar, day);
        let next = match self {
            Self::Day => first + Days::new(1),
            Self::Week => first + Days::new(7),
            Self::Month => first + Months::new(1),
            Self::Year => first + Months::new(12),
        };
        Span { from: calendar.start_of_day(first), to: calendar.start_of_day(next) }
    }

    /// Returns the unit before another.
    fn before(self, calendar: Calendar, unit: Span) -> Span {
        // The last instant before it is on a day that exists.
        let day = calendar.day(unit.from - TimeDelta::microseconds(1));
        Span { to: unit.from, ..self.around(calendar, day) }
    }
}

impl Comparison {
    /// All comparisons.
    pub const ALL: [Self; 3] = [Self::Previous, Self::SameWeekdays, Self::PreviousYear];

    /// Name in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Previous => "previous",
            Self::SameWeekdays => "same_weekdays",
            Self::PreviousYear => "previous_year",
        }
    }

    /// Returns the range that `range` is compared with. If `range` is not over at `now`, the
    /// earlier range is cut to the elapsed length.
    #[must_use]
    pub fn span(
        self,
        calendar: Calendar,
        range: Span,
        period: Option<Period>,
        now: DateTime<Utc>,
    ) -> Span {
        let length = range.to - range.from;
        let whole = match (self, period.and_then(Period::unit)) {
            (Self::Previous, Some(unit)) => unit.before(calendar, range),
            (Self::Previous, None) => Span { from: range.from - length, to: range.from },
            (Self::SameWeekdays, _) => weeks_earlier(calendar, range),
            (Self::PreviousYear, _) => year_earlier(calendar, range),
        };
        if now >= range.to {
            return whole;
        }
        let elapsed = (now - range.from).max(TimeDelta::zero());
        Span { to: whole.to.min(whole.from + elapsed), ..whole }
    }
}

/// Moves an instant to another day: the start of a day to the start of a day, any other to the same
/// local time.
fn moved(
    calendar: Calendar,
    at: DateTime<Utc>,
    to: impl Fn(NaiveDate) -> NaiveDate,
) -> DateTime<Utc> {
    if calendar.starts(Bucket::Day, at) {
        return calendar.start_of_day(to(calendar.day(at)));
    }
    let local = calendar.local(at);
    calendar.at(to(local.date()).and_time(local.time()))
}

/// Days of a week.
const WEEK: u64 = 7;

/// Returns the range of the same weekdays and local times, `weeks` weeks earlier.
#[must_use]
pub fn weeks_before(calendar: Calendar, range: Span, weeks: u64) -> Span {
    let earlier = |at| moved(calendar, at, |date| date - Days::new(weeks * WEEK));
    Span { from: earlier(range.from), to: earlier(range.to) }
}

fn weeks_earlier(calendar: Calendar, range: Span) -> Span {
    let weeks_at_least = (range.to - range.from).num_days().unsigned_abs() / WEEK;
    let mut weeks = weeks_at_least.max(1);
    loop {
        let span = weeks_before(calendar, range, weeks);
        if span.to <= range.from {
            return span;
        }
        weeks += 1;
    }
}

fn year_earlier(calendar: Calendar, range: Span) -> Span {
    let year = Months::new(12);
    let from = moved(calendar, range.from, |date| date - year);
    let to = if calendar.starts(Bucket::Day, range.to) {
        // By its last day: the end of 28 February is not the start of 29 February everywhere.
        let last = calendar.day(range.to - TimeDelta::microseconds(1));
        calendar.start_of_day(last - year + Days::new(1))
    } else {
        moved(calendar, range.to, |date| date - year)
    };
    Span { from, to }
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;

    fn berlin() -> Calendar {
        Calendar { zone: Tz::Europe__Berlin, week_starts: Weekday::Mon }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Returns the bounds in local time.
    fn shown(calendar: Calendar, span: Span) -> String {
        let local = |at| calendar.local(at).format("%F %R").to_string();
        format!("{} to {}", local(span.from), local(span.to))
    }

    /// A Thursday, 15:30 in Berlin.
    const NOW: &str = "2026-10-29T14:30:00Z";

    #[test]
    fn periods_are_local() {
        let calendar = berlin();
        for (period, expected) in [
            (Period::Today, "2026-10-29 00:00 to 2026-10-30 00:00"),
            (Period::Yesterday, "2026-10-28 00:00 to 2026-10-29 00:00"),
            (Period::Last24h, "2026-10-28 15:30 to 2026-10-29 15:30"),
            // The clock was set back on the 25th.
            (Period::Last7d, "2026-10-22 16:30 to 2026-10-29 15:30"),
            (Period::Last30d, "2026-09-29 16:30 to 2026-10-29 15:30"),
            (Period::Last90d, "2026-07-31 16:30 to 2026-10-29 15:30"),
            (Period::ThisWeek, "2026-10-26 00:00 to 2026-11-02 00:00"),
            (Period::LastWeek, "2026-10-19 00:00 to 2026-10-26 00:00"),
            (Period::ThisMonth, "2026-10-01 00:00 to 2026-11-01 00:00"),
            (Period::LastMonth, "2026-09-01 00:00 to 2026-10-01 00:00"),
            (Period::ThisYear, "2026-01-01 00:00 to 2027-01-01 00:00"),
        ] {
            assert_eq!(shown(calendar, period.span(calendar, at(NOW))), expected, "{period:?}");
        }
        let sunday = Calendar { week_starts: Weekday::Sun, ..calendar };
        let week = Period::ThisWeek.span(sunday, at(NOW));
        assert_eq!(shown(sunday, week), "2026-10-25 00:00 to 2026-11-01 00:00");
    }

    #[test]
    fn unfinished_period_is_compared_with_the_same_elapsed_part() {
        let calendar = berlin();
        for (period, comparison, expected) in [
            (Period::Today, Comparison::Previous, "2026-10-28 00:00 to 2026-10-28 15:30"),
            (Period::Yesterday, Comparison::Previous, "2026-10-27 00:00 to 2026-10-28 00:00"),
            (Period::Last24h, Comparison::Previous, "2026-10-27 15:30 to 2026-10-28 15:30"),
            // 87.5 hours of both; the hour that occurs twice is after the earlier range.
            (Period::ThisWeek, Comparison::Previous, "2026-10-19 00:00 to 2026-10-22 15:30"),
            (Period::LastWeek, Comparison::Previous, "2026-10-12 00:00 to 2026-10-19 00:00"),
            (Period::LastMonth, Comparison::Previous, "2026-08-01 00:00 to 2026-09-01 00:00"),
            (Period::Today, Comparison::SameWeekdays, "2026-10-22 00:00 to 2026-10-22 15:30"),
            (Period::LastMonth, Comparison::SameWeekdays, "2026-07-28 00:00 to 2026-08-27 00:00"),
            (Period::LastWeek, Comparison::PreviousYear, "2025-10-19 00:00 to 2025-10-26 00:00"),
            (Period::LastMonth, Comparison::PreviousYear, "2025-09-01 00:00 to 2025-10-01 00:00"),
        ] {
            let range = period.span(calendar, at(NOW));
            let span = comparison.span(calendar, range, Some(period), at(NOW));
            assert_eq!(shown(calendar, span), expected, "{period:?} and {comparison:?}");
        }
    }

    #[test]
    fn shorter_earlier_month_is_compared_as_a_whole() {
        let calendar = berlin();
        let now = at("2026-03-31T10:00:00Z");
        let range = Period::ThisMonth.span(calendar, now);
        let span = Comparison::Previous.span(calendar, range, Some(Period::ThisMonth), now);
        assert_eq!(shown(calendar, span), "2026-02-01 00:00 to 2026-03-01 00:00");
    }

    #[test]
    fn future_range_is_compared_with_an_empty_range() {
        let calendar = berlin();
        let range = Span { from: at("2026-11-01T00:00:00Z"), to: at("2026-11-02T00:00:00Z") };
        let span = Comparison::Previous.span(calendar, range, None, at(NOW));
        assert_eq!(span.from, span.to);
    }

    #[test]
    fn previous_year_has_the_same_dates_around_a_leap_day() {
        let calendar = berlin();
        let day = |text: &str| calendar.start_of_day(text.parse().unwrap());
        for (from, to, expected) in [
            ("2024-02-01", "2024-03-01", "2023-02-01 00:00 to 2023-03-01 00:00"),
            ("2024-02-28", "2024-02-29", "2023-02-28 00:00 to 2023-03-01 00:00"),
            ("2024-02-29", "2024-03-01", "2023-02-28 00:00 to 2023-03-01 00:00"),
            ("2025-02-01", "2025-03-01", "2024-02-01 00:00 to 2024-02-29 00:00"),
        ] {
            let range = Span { from: day(from), to: day(to) };
            let span = Comparison::PreviousYear.span(calendar, range, None, at(NOW));
            assert_eq!(shown(calendar, span), expected, "{from}");
        }
    }

    #[test]
    fn missing_midnights_are_moved_to_midnights() {
        let cairo = Calendar { zone: Tz::Africa__Cairo, week_starts: Weekday::Mon };
        let day = |text: &str| cairo.start_of_day(text.parse().unwrap());
        let range = Span { from: day("2026-04-24"), to: day("2026-04-25") };
        let span = Comparison::SameWeekdays.span(cairo, range, None, at(NOW));
        assert_eq!(shown(cairo, span), "2026-04-17 00:00 to 2026-04-18 00:00");
        let range = Span { from: day("2026-05-01"), to: day("2026-05-02") };
        let span = Comparison::SameWeekdays.span(cairo, range, None, at(NOW));
        assert_eq!(shown(cairo, span), "2026-04-24 01:00 to 2026-04-25 00:00");
    }

    proptest! {
        #[test]
        fn earlier_range_ends_before_and_differs_by_at_most_a_shift(
            zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
            comparison in proptest::sample::select(Comparison::ALL.to_vec()),
            from in 1_400_000_000_i64..2_500_000_000,
            length in 1_i64..40_000_000,
        ) {
            prop_assume!(comparison != Comparison::PreviousYear || length < 31_000_000);
            let calendar = Calendar { zone, week_starts: Weekday::Mon };
            let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
            let range = Span { from: at(from), to: at(from + length) };
            let earlier = comparison.span(calendar, range, None, at(from + length));
            prop_assert!(earlier.from <= earlier.to && earlier.to <= range.from);
            let longer = (earlier.to - earlier.from) - (range.to - range.from);
            let day_and_shift = TimeDelta::hours(28);
            prop_assert!(longer.abs() <= day_and_shift, "{longer}");
            // No later range of the same weekdays would fit.
            if comparison == Comparison::SameWeekdays {
                let weeks = (range.from - earlier.from).num_days() / 7;
                prop_assert!(weeks * 7 * 86_400 <= length + 8 * 86_400);
            }
        }
    }
}
