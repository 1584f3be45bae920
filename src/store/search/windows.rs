//! Stretches of time, newest first: how a search finds the newest matches of a common word without
//! looking at all of them.

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::search::day_mark;
use crate::store::page::{AFTER_ALL, BEFORE_ALL};

/// Days of each stretch; what is older is one stretch. From a month on the partitions bound it well
/// enough, and each step further reads as much again as all before it, so there are few.
const STRETCH_DAYS: [u64; 4] = [1, 3, 30, 120];
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
    pub(super) fn stretches(self, newest: DateTime<Utc>) -> impl Iterator<Item = Self> {
        let mut rest = self;
        let mut lengths = STRETCH_DAYS.into_iter();
        let midnight = |at: DateTime<Utc>| at.date_naive().and_time(NaiveTime::MIN).and_utc();
        // What lies ahead of the newest: strays of clocks that are wrong.
        let tomorrow = midnight(newest).checked_add_days(Days::new(1)).unwrap_or(AFTER_ALL);
        let mut bound = Some(tomorrow);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            loop {
                let from = match bound {
                    Some(bound) => (bound, Uuid::nil()).max(rest.from),
                    None => rest.from,
                };
                let next = bound.zip(lengths.next());
                bound = next.and_then(|(bound, days)| bound.checked_sub_days(Days::new(days)));
                let stretch = Self { from, to: rest.to };
                if !stretch.is_empty() {
                    rest.to = from;
                    return Some(stretch);
                }
            }
        })
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
        ) {
            let window = Window::between(after.map(at), before.map(at));
            let stretches: Vec<_> = window.stretches(at(newest)).collect();
            prop_assert!(stretches.len() <= STRETCH_DAYS.len() + 2);
            let mut to = window.to;
            for stretch in &stretches {
                prop_assert!(!stretch.is_empty());
                prop_assert_eq!(stretch.to, to);
                to = stretch.from;
                if let Some(marks) = stretch.day_marks() {
                    prop_assert!(marks.contains(&day_mark(stretch.from.0)));
                    prop_assert!(marks.contains(&day_mark(just_before(stretch.to.0))));
                }
            }
            prop_assert!(window.is_empty() || to == window.from);
        }
    }

    fn just_before(at: DateTime<Utc>) -> DateTime<Utc> {
        at - TimeDelta::microseconds(1)
    }

    #[test]
    fn the_newest_days_come_first_and_alone() {
        let window = Window::between(None, None);
        let stretches: Vec<_> = window.stretches(at(0)).collect();
        let days: Vec<_> =
            stretches.iter().map(|each| each.day_marks().map(|marks| marks.len())).collect();
        // Each names the day at its end, too, though its end lies at that day's beginning.
        assert_eq!(days, [None, Some(2), Some(4), None, None, None]);
    }
}
