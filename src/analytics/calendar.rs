//! Time buckets in a time zone: minutes, hours, days, weeks and months.
//!
//! A bucket is identified by its absolute bounds. Local times are ambiguous: an hour can occur
//! twice, and a midnight may not exist.
//!
//! - A day begins at the first instant at which the local date is that day or a later one. A day
//!   that the zone skipped has no bucket. Weeks and months begin with their first day.
//! - A shorter bucket begins when the local clock shows a full minute, quarter or hour, and when a
//!   shift of the clock leads into another one. Lord Howe sets its clock back by half an hour
//!   within one hour, so that hour is one bucket of 90 minutes.
//!
//! Instants are between the years 2010 and 2100, give or take some years.

use chrono::{
    DateTime, Datelike as _, Days, MappedLocalTime, Months, NaiveDate, NaiveDateTime, NaiveTime,
    Offset as _, TimeDelta, TimeZone as _, Utc, Weekday,
};
use chrono_tz::Tz;

const MICROS: i64 = 1_000_000;

/// Size of a time bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bucket {
    /// Minute.
    Minute,
    /// Quarter of an hour.
    QuarterHour,
    /// Hour of the local clock.
    Hour,
    /// Local day.
    Day,
    /// Local week.
    Week,
    /// Local month.
    Month,
}

/// Half-open range of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: DateTime<Utc>,
    /// First instant after it.
    pub to: DateTime<Utc>,
}

/// Part of a range within one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bounds.
    pub span: Span,
    /// `true` if it is the whole bucket.
    pub whole: bool,
}

/// Time zone, and the day on which its weeks start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Time zone.
    pub zone: Tz,
    /// First day of a week.
    pub week_starts: Weekday,
}

impl Bucket {
    /// All sizes, the shortest first.
    pub const ALL: [Self; 6] =
        [Self::Minute, Self::QuarterHour, Self::Hour, Self::Day, Self::Week, Self::Month];
    /// Most buckets that [`Self::auto`] chooses: as many points as a chart shows well.
    pub const AUTO_BUCKETS: usize = 200;

    /// Name in requests and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::QuarterHour => "15m",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the shortest bucket that divides the range into at most `most` parts.
    #[must_use]
    pub fn fitting(calendar: Calendar, range: Span, most: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|bucket| calendar.count(*bucket, range, most) <= most)
    }

    /// Returns the shortest bucket that divides the range into at most [`Self::AUTO_BUCKETS`]
    /// parts, or months.
    #[must_use]
    pub fn auto(calendar: Calendar, range: Span) -> Self {
        Self::fitting(calendar, range, Self::AUTO_BUCKETS).unwrap_or(Self::Month)
    }

    /// Returns the length in seconds of a bucket of the local clock; `None` for buckets of the
    /// local date.
    fn step(self) -> Option<i64> {
        match self {
            Self::Minute => Some(60),
            Self::QuarterHour => Some(900),
            Self::Hour => Some(3600),
            Self::Day | Self::Week | Self::Month => None,
        }
    }
}

impl Calendar {
    /// Returns the parts of a range by bucket, in order.
    pub fn parts(self, bucket: Bucket, range: Span) -> impl Iterator<Item = Part> {
        let mut from = range.from;
        let mut whole = self.starts(bucket, from);
        std::iter::from_fn(move || {
            if from >= range.to {
                return None;
            }
            let end = self.next_start(bucket, from);
            let span = Span { from, to: end.min(range.to) };
            let part = Part { span, whole: whole && end <= range.to };
            (from, whole) = (end, true);
            Some(part)
        })
    }

    /// Counts the parts of a range, up to one more than `most`.
    #[must_use]
    pub fn count(self, bucket: Bucket, range: Span, most: usize) -> usize {
        self.parts(bucket, range).take(most.saturating_add(1)).count()
    }

    /// Returns the local time at an instant.
    #[must_use]
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.zone).naive_local()
    }

    /// Returns the first instant at which the local clock shows a time, or the instant of the shift
    /// that skips it.
    #[must_use]
    pub fn at(self, local: NaiveDateTime) -> DateTime<Utc> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(at) => at.with_timezone(&Utc),
            MappedLocalTime::Ambiguous(one, other) => one.min(other).with_timezone(&Utc),
            MappedLocalTime::None => {
                // No zone is further than this from UTC.
                let around = TimeDelta::hours(26);
                let (from, to) = (local.and_utc() - around, local.and_utc() + around);
                first_second(from, to, |at| self.local(at) >= local)
            }
        }
    }

    /// Returns the first instant of a day.
    #[must_use]
    pub fn start_of_day(self, date: NaiveDate) -> DateTime<Utc> {
        self.at(date.and_time(NaiveTime::MIN))
    }

    /// Returns the day whose bucket contains an instant. It differs from the local date when a
    /// clock that was set back shows the previous day again.
    #[must_use]
    pub fn day(self, at: DateTime<Utc>) -> NaiveDate {
        let date = self.local(at).date();
        let next = date + Days::new(1);
        if self.start_of_day(next) <= at { next } else { date }
    }

    /// Returns the first day of the bucket that contains a day.
    #[must_use]
    pub fn first_day(self, bucket: Bucket, day: NaiveDate) -> NaiveDate {
        match bucket {
            Bucket::Month => day - Days::new(u64::from(day.day0())),
            Bucket::Week => day - Days::new(u64::from(day.weekday().days_since(self.week_starts))),
            _ => day,
        }
    }

    /// Returns `true` if a bucket starts at an instant.
    #[must_use]
    pub fn starts(self, bucket: Bucket, at: DateTime<Utc>) -> bool {
        match bucket.step() {
            Some(step) => self.steps(step, at),
            None => self.start_of_day(self.first_day(bucket, self.day(at))) == at,
        }
    }

    /// Returns the start of the next bucket after the one that contains an instant.
    #[must_use]
    pub fn next_start(self, bucket: Bucket, at: DateTime<Utc>) -> DateTime<Utc> {
        if let Some(step) = bucket.step() {
            return self.next_step(step, at);
        }
        let mut first = self.first_day(bucket, self.day(at));
        loop {
            first = next_first_day(bucket, first);
            let start = self.start_of_day(first);
            // A skipped day starts and ends with the shift.
            if start > at {
                return start;
            }
        }
    }

    /// Returns `true` if the local clock shows a multiple of `step` seconds, or was shifted across
    /// one.
    fn steps(self, step: i64, at: DateTime<Utc>) -> bool {
        let step = step * MICROS;
        let local = self.local_micros(at);
        let before = self.local_micros(at - TimeDelta::microseconds(1));
        local.rem_euclid(step) == 0 || local.div_euclid(step) != before.div_euclid(step)
    }

    fn next_step(self, step: i64, mut at: DateTime<Utc>) -> DateTime<Utc> {
        let micros = step * MICROS;
        loop {
            let rest = micros - self.local_micros(at).rem_euclid(micros);
            let next = at + TimeDelta::microseconds(rest);
            let offset = self.offset(at);
            if self.offset(next) == offset {
                return next;
            }
            at = first_second(at, next, |at| self.offset(at) != offset);
            if self.steps(step, at) {
                return at;
            }
        }
    }

    /// Returns the seconds by which the local clock is ahead of UTC.
    fn offset(self, at: DateTime<Utc>) -> i64 {
        let offset = self.zone.offset_from_utc_datetime(&at.naive_utc());
        i64::from(offset.fix().local_minus_utc())
    }

    fn local_micros(self, at: DateTime<Utc>) -> i64 {
        at.timestamp_micros() + self.offset(at) * MICROS
    }
}

fn next_first_day(bucket: Bucket, first: NaiveDate) -> NaiveDate {
    match bucket {
        Bucket::Month => first + Months::new(1),
        Bucket::Week => first + Days::new(7),
        _ => first + Days::new(1),
    }
}

/// Returns the first full second after `from`, `to` at the latest, from which on `holds` is true.
/// Zones shift at full seconds.
fn first_second(
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    holds: impl Fn(DateTime<Utc>) -> bool,
) -> DateTime<Utc> {
    let (mut before, mut after) = (from.timestamp(), to.timestamp());
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let at = DateTime::from_timestamp(middle, 0);
        if at.is_some_and(&holds) { after = middle } else { before = middle }
    }
    DateTime::from_timestamp(after, 0).unwrap_or(to)
}

#[cfg(test)]
mod tests;
