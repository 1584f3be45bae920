//! Stretches of time, newest first: how a search finds the newest matches of a common word without
//! looking at all of them.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::search::day_mark;
use crate::store::page::{AFTER_ALL, BEFORE_ALL};

/// Most days of each stretch; what is older is one stretch. From a month on the partitions bound it
/// well enough, and each step further reads as much again as all before it, so there are few.
const STRETCH_DAYS: [u64; 4] = [1, 3, 30, 120];
/// Where no more than this can match in all, what is old is looked for in one go, once the newest
/// days have shown that it takes the old to fill a page.
const FEW_ENOUGH_AT_ONCE: i64 = 20_000;
/// Most days that are named one by one. For each of them the index is read as for a word that most
/// messages hold: beyond a few it costs more than the matches that it leaves out.
const MOST_NAMED_DAYS: u64 = 4;

/// The messages whose (time, id) lies from `from`, included, to `to`, which is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The earliest.
    pub from: (DateTime<Utc>, Uuid),
    /// Later than the last.
    pub to: (DateTime<Utc>, Uuid),
}

impl Window {
    /// All messages between two times, neither included.
    pub(super) fn between(after: Option<DateTime<Utc>>, before: Option<DateTime<Utc>>) -> Self {
        let from = after.map_or(BEFORE_ALL, just_after);
        Self { from: (from, Uuid::nil()), to: (before.unwrap_or(AFTER_ALL), Uuid::nil()) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// The same up to and including a message.
    pub(super) fn up_to(self, (at, id): (DateTime<Utc>, Uuid)) -> Self {
        let to = match id.as_u128().checked_add(1) {
            Some(next) => (at, Uuid::from_u128(next)),
            None => (just_after(at), Uuid::nil()),
        };
        Self { to: to.min(self.to), ..self }
    }

    /// Parts of it, newest first, that begin where `newest` stands and grow: together all of it.
    pub(super) fn stretches(self, newest: DateTime<Utc>) -> Stretches {
        let midnight = newest.date_naive().and_time(NaiveTime::MIN).and_utc();
        let tomorrow = midnight.checked_add_days(Days::new(1)).unwrap_or(AFTER_ALL);
        Stretches { rest: self, newest, bound: tomorrow, next: 0 }
    }

    /// The marks of its days, where they are few.
    pub(super) fn day_marks(&self) -> Option<Vec<String>> {
        let (first, last) = (self.from.0.date_naive(), self.to.0.date_naive());
        let days = u64::try_from((last - first).num_days()).ok()?;
        if days > MOST_NAMED_DAYS {
            return None;
        }
        let days = first.iter_days().take(usize::try_from(days).ok()? + 1);
        Some(days.map(|day| day_mark(day.and_time(NaiveTime::MIN).and_utc())).collect())
    }
}

/// The parts of a window, one after another.
#[derive(Debug)]
pub(super) struct Stretches {
    rest: Window,
    newest: DateTime<Utc>,
    /// Where the next one ends.
    bound: DateTime<Utc>,
    /// Which of [`STRETCH_DAYS`] it has at the most.
    next: usize,
}

impl Stretches {
    /// The next one, after `found` of the `wanted` matches in those before it. No more than
    /// `at_most` are there in all.
    pub(super) fn next(&mut self, found: usize, wanted: usize, at_most: i64) -> Option<Window> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            // First what lies ahead of the newest: strays of clocks that are wrong.
            let from = (self.bound, Uuid::nil()).max(self.rest.from);
            if from < self.rest.to {
                let stretch = Window { from, to: self.rest.to };
                self.rest.to = from;
                return Some(stretch);
            }
            self.bound = match self.days(found, wanted, at_most) {
                Some(days) => self.bound.checked_sub_days(Days::new(days)).unwrap_or(BEFORE_ALL),
                None => BEFORE_ALL,
            };
            self.next += 1;
        }
    }

    /// How many days are likely to hold what is still wanted; `None` is all that there are.
    fn days(&self, found: usize, wanted: usize, at_most: i64) -> Option<u64> {
        let longest = *STRETCH_DAYS.get(self.next)?;
        if self.next == 0 {
            return Some(longest);
        }
        let seen = (self.newest - self.bound).num_seconds().max(1);
        let wanted = i64::try_from(wanted.saturating_sub(found)).unwrap_or(i64::MAX);
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        // Half as many again as what was found so far makes likely, in whole days. The newest days
        // say too little before there are some of them.
        let likely = seen.saturating_mul(wanted).saturating_mul(3).checked_div(found * 2 * 86_400);
        let likely = likely.map_or(u64::MAX, |days| u64::try_from(days).unwrap_or(0) + 1);
        let oldest = STRETCH_DAYS.iter().sum();
        if likely > oldest && self.next > 1 && at_most <= FEW_ENOUGH_AT_ONCE {
            return None;
        }
        Some(likely.min(longest))
    }
}

/// Times are whole microseconds.
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
        fn stretches_cover_all_without_a_gap(
            after in proptest::option::of(-100_000_000_i64..1_000_000),
            before in proptest::option::of(-100_000_000_i64..1_000_000),
            newest in -100_000_000_i64..1_000_000,
            found in proptest::collection::vec(0_usize..150, 8),
            at_most in 0_i64..40_000,
        ) {
            let window = Window::between(after.map(at), before.map(at));
            let mut stretches = window.stretches(at(newest));
            let (mut to, mut sum) = (window.to, 0);
            for each in found {
                let Some(stretch) = stretches.next(sum, 100, at_most) else { break };
                prop_assert!(!stretch.is_empty());
                prop_assert_eq!(stretch.to, to);
                to = stretch.from;
                if let Some(marks) = stretch.day_marks() {
                    prop_assert!(marks.contains(&day_mark(stretch.from.0)));
                    prop_assert!(marks.contains(&day_mark(just_before(stretch.to.0))));
                }
                sum += each;
            }
            // Eight are more than there can be.
            prop_assert_eq!(stretches.next(sum, 100, at_most), None);
            prop_assert!(window.is_empty() || to == window.from);
        }
    }

    fn just_before(at: DateTime<Utc>) -> DateTime<Utc> {
        at - TimeDelta::microseconds(1)
    }

    /// The days of all stretches, where so many are found in each; the first is the time ahead.
    fn days(found: [usize; 8], at_most: i64) -> Vec<i64> {
        let mut stretches = Window::between(None, None).stretches(at(0));
        let mut sum = 0;
        let all = found.into_iter().map_while(|found| {
            let stretch = stretches.next(sum, 100, at_most)?;
            sum += found;
            Some((stretch.to.0 - stretch.from.0).num_days())
        });
        all.skip(1).take_while(|days| *days < 1_000).collect()
    }

    #[test]
    fn the_newest_days_come_first_and_alone() {
        let mut stretches = Window::between(None, None).stretches(at(0));
        let marks: Vec<_> = std::iter::from_fn(|| stretches.next(0, 100, i64::MAX))
            .map(|each| each.day_marks().map(|marks| marks.len()))
            .collect();
        // Each names the day at its end, too, though its end lies at that day's beginning.
        assert_eq!(marks, [None, Some(2), Some(4), None, None, None]);
    }

    #[test]
    fn a_stretch_is_no_longer_than_it_takes() {
        assert_eq!(days([0; 8], i64::MAX), [1, 3, 30, 120], "there may be many, and long ago");
        assert_eq!(days([0; 8], 9_000), [1, 3], "there are few, and so they are in what is old");
        assert_eq!(
            days([0, 80, 30, 0, 0, 0, 0, 0], 9_000),
            [1, 1, 1, 1],
            "nearly enough, each time"
        );
        assert_eq!(days([0, 0, 20, 0, 0, 0, 0, 0], i64::MAX), [1, 3, 22, 120]);
    }
}
