//! Splits time into windows, newest first, so a search finds the newest matches of a common word
//! without reading all of them.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::search::day_mark;
use crate::store::page::{AFTER_ALL, BEFORE_ALL};

/// Most days of each window; the last one has all older days. From a month on, partitions limit the
/// work well enough, and each step reads as much as all before it, so there are few steps.
const WINDOW_DAYS: [u64; 4] = [1, 3, 30, 120];
/// Most possible matches for which all older days are one window, once the newest days did not fill
/// the page.
const FEW_ENOUGH_AT_ONCE: i64 = 20_000;
/// Most days that are named one by one. Each costs an index scan as for a word that most messages
/// have: beyond a few, that costs more than the matches it excludes.
const MAX_NAMED_DAYS: u64 = 4;

/// Range of messages by (time, ID), from `from`, inclusive, to `to`, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Inclusive start.
    pub from: (DateTime<Utc>, Uuid),
    /// Exclusive end.
    pub to: (DateTime<Utc>, Uuid),
}

impl Window {
    /// Returns the range between two times, both excluded.
    pub(super) fn between(after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>) -> Self {
        let from = after.map_or(BEFORE_ALL, just_after);
        Self { from: (from, Uuid::nil()), to: (before.unwrap_or(AFTER_ALL), Uuid::nil()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Ends the range with a message, which it includes.
    pub(super) fn up_to(self, (at, id): (DateTime<Utc>, Uuid)) -> Self {
        let to = match id.as_u128().checked_add(1) {
            Some(next) => (at, Uuid::from_u128(next)),
            None => (just_after(at), Uuid::nil()),
        };
        Self { to: to.min(self.to), ..self }
    }

    /// Splits the range into growing windows, newest first, the first of which begins at `newest`.
    pub(super) fn split(self, newest: DateTime<Utc>) -> Windows {
        let midnight = newest.date_naive().and_time(NaiveTime::MIN).and_utc();
        let tomorrow = midnight.checked_add_days(Days::new(1)).unwrap_or(AFTER_ALL);
        Windows { rest: self, newest, bound: tomorrow, next: 0 }
    }

    /// Returns the marks of its days if they are few.
    pub(super) fn day_marks(&self) -> Option<Vec<String>> {
        let (first, last) = (self.from.0.date_naive(), self.to.0.date_naive());
        let days = u64::try_from((last - first).num_days()).ok()?;
        if days > MAX_NAMED_DAYS {
            return None;
        }
        let days = first.iter_days().take(usize::try_from(days).ok()? + 1);
        Some(days.map(|day| day_mark(day.and_time(NaiveTime::MIN).and_utc())).collect())
    }
}

/// Iterator over the windows of a range.
#[derive(Debug)]
pub(super) struct Windows {
    rest: Window,
    newest: DateTime<Utc>,
    /// End of the next window.
    bound: DateTime<Utc>,
    /// Index into [`WINDOW_DAYS`] of its longest length.
    next: usize,
}

impl Windows {
    /// Returns the next window, after `found` of the `wanted` matches in the windows before. At
    /// most `at_most` matches exist.
    pub(super) fn next(&mut self, found: usize, wanted: usize, at_most: i64) -> Option<Window> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            // First the times after the newest message, which only wrong clocks have.
            let from = (self.bound, Uuid::nil()).max(self.rest.from);
            if from < self.rest.to {
                let part = Window { from, to: self.rest.to };
                self.rest.to = from;
                return Some(part);
            }
            self.bound = match self.days(found, wanted, at_most) {
                Some(days) => self.bound.checked_sub_days(Days::new(days)).unwrap_or(BEFORE_ALL),
                None => BEFORE_ALL,
            };
            self.next += 1;
        }
    }

    /// Estimates how many days have the remaining matches; `None` is all days.
    fn days(&self, found: usize, wanted: usize, at_most: i64) -> Option<u64> {
        let longest = *WINDOW_DAYS.get(self.next)?;
        if self.next == 0 {
            return Some(longest);
        }
        let examined = (self.newest - self.bound).num_seconds().max(1);
        let wanted = i64::try_from(wanted.saturating_sub(found)).unwrap_or(i64::MAX);
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        // Half as many again as the rate so far suggests, in whole days. The first day alone is too
        // small a sample.
        let likely =
            examined.saturating_mul(wanted).saturating_mul(3).checked_div(found * 2 * 86_400);
        let likely = likely.map_or(u64::MAX, |days| u64::try_from(days).unwrap_or(0) + 1);
        let oldest = WINDOW_DAYS.iter().sum();
        if likely > oldest && self.next > 1 && at_most <= FEW_ENOUGH_AT_ONCE {
            return None;
        }
        Some(likely.min(longest))
    }
}

/// Returns the next time; times are whole microseconds.
fn just_after(at: DateTime<Utc>) -> DateTime<Utc> {
    at + TimeDelta::microseconds(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_607_253 + seconds, 0).unwrap()
    }

    proptest! {
        #[test]
        fn windows_cover_the_range_without_gaps(
            after in proptest::option::of(-100_000_000_i64..1_000_000),
            before in proptest::option::of(-100_000_000_i64..1_000_000),
            newest in -100_000_000_i64..1_000_000,
            found in proptest::collection::vec(0_usize..150, 8),
            at_most in 0_i64..40_000,
        ) {
            let window = Window::between(after.map(at), before.map(at));
            let mut windows = window.split(at(newest));
            let (mut to, mut sum) = (window.to, 0);
            for each in found {
                let Some(part) = windows.next(sum, 100, at_most) else { break };
                prop_assert!(!part.is_empty());
                prop_assert_eq!(part.to, to);
                to = part.from;
                if let Some(marks) = part.day_marks() {
                    prop_assert!(marks.contains(&day_mark(part.from.0)));
                    prop_assert!(marks.contains(&day_mark(just_before(part.to.0))));
                }
                sum += each;
            }
            // Eight are more than there can be.
            prop_assert_eq!(windows.next(sum, 100, at_most), None);
            prop_assert!(window.is_empty() || to == window.from);
        }
    }

    fn just_before(at: DateTime<Utc>) -> DateTime<Utc> {
        at - TimeDelta::microseconds(1)
    }

    /// Returns the days of all windows with this many matches in each; the first is the time ahead.
    fn days(found: [usize; 8], at_most: i64) -> Vec<i64> {
        let mut windows = Window::between(None, None).split(at(0));
        let mut sum = 0;
        let all = found.into_iter().map_while(|found| {
            let part = windows.next(sum, 100, at_most)?;
            sum += found;
            Some((part.to.0 - part.from.0).num_days())
        });
        all.skip(1).take_while(|days| *days < 1_000).collect()
    }

    #[test]
    fn newest_days_come_first_in_small_windows() {
        let mut windows = Window::between(None, None).split(at(0));
        let marks: Vec<_> = std::iter::from_fn(|| windows.next(0, 100, i64::MAX))
            .map(|each| each.day_marks().map(|marks| marks.len()))
            .collect();
        // Each also names the day of its end, although the end is that day's start.
        assert_eq!(marks, [None, Some(2), Some(4), None, None, None]);
    }

    #[test]
    fn window_is_no_longer_than_needed() {
        assert_eq!(days([0; 8], i64::MAX), [1, 3, 30, 120], "many matches may be old");
        assert_eq!(days([0; 8], 9_000), [1, 3], "the few matches are in the older days");
        assert_eq!(
            days([0, 80, 30, 0, 0, 0, 0, 0], 9_000),
            [1, 1, 1, 1],
            "nearly enough in each window"
        );
        assert_eq!(days([0, 0, 20, 0, 0, 0, 0, 0], i64::MAX), [1, 3, 22, 120]);
    }
}
