//! Splits a range into parts with stored sums and parts that are read from facts.

use std::collections::BTreeMap;
use std::iter;

use chrono::{DateTime, DurationRound as _, TimeDelta, Timelike as _, Utc};

use super::{Selection, Split};

/// Level of stored rows, and the duration of each row.
type Level = (i16, TimeDelta);

const QUARTER: TimeDelta = TimeDelta::minutes(15);
const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// Most parts of a cover. A range with more parts is read from facts as a whole, for example if its
/// buckets do not start on a quarter hour.
const MAX_PARTS: usize = 2_000;
/// Most parts of a cover that are read from facts.
const MAX_FACT_PARTS: usize = 16;

/// Largest distance of a range's end from the answer at which the range counts as one up to now.
const NEARLY_NOW: TimeDelta = TimeDelta::minutes(1);

/// Table of stored rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// `activity`.
    Sums,
    /// `reply_gaps`.
    ReplyGaps,
}

impl Stored {
    /// Returns the levels of the table, longest rows first.
    fn levels(self, by_agent: bool) -> &'static [Level] {
        match (self, by_agent) {
            (Self::Sums, true) => &[(5, DAY), (2, HOUR), (1, QUARTER)],
            (_, false) => &[(4, DAY), (3, HOUR), (0, QUARTER)],
            (Self::ReplyGaps, true) => &[(2, HOUR), (1, QUARTER)],
        }
    }
}

/// Parts of a range whose sums are read from rows of one level, or from facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) starts: Vec<DateTime<Utc>>,
    pub(super) ends: Vec<DateTime<Utc>>,
}

/// Parts that one query reads: up to two ranges, which is enough for a range's edges. More parts
/// are listed by the starts of their rows: PostgreSQL estimates constants well and a join with
/// ranges badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Level of the rows; `None` is facts.
    pub(super) level: Option<i16>,
    /// Starts of the rows; `None` if the ranges select them.
    pub(super) starts: Option<Vec<DateTime<Utc>>>,
    /// Ranges of the parts. The second is empty if there is one part.
    pub(super) ranges: [(DateTime<Utc>, DateTime<Utc>); 2],
}

/// Parts of a range by level; `None` is facts. They do not overlap, and together they are the range
/// and the excess.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cover {
    pub(super) parts: BTreeMap<Option<i16>, Parts>,
    /// Part after the range that its last row also covers. Its facts are subtracted.
    pub(super) excess: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Agents of the rows; `None` is all.
    pub(super) agents: Option<Vec<String>>,
}

impl Cover {
    /// Covers the range of a selection with as few rows as possible within its buckets. The whole
    /// range is read from facts if rows cannot answer the selection.
    pub(super) fn of(selection: &Selection<'_>, stored: Stored) -> Self {
        let by_agent = selection.visible.is_some()
            || selection.agents.is_some()
            || selection.split == Some(Split::Agent);
        let known = selection.rooms.is_none() && selection.split != Some(Split::Role);
        let levels = if known { stored.levels(by_agent) } else { &[] };
        let agents = if by_agent { selection.visible_agents() } else { Some(vec![String::new()]) };
        let mut cover = Self { agents, ..Self::default() };
        cover.excess = if levels.is_empty() { None } else { excess(selection) };
        let to = cover.excess.map_or(selection.to, |(_, end)| end);
        let ends = selection.starts.iter().skip(1).chain([&to]);
        for (start, end) in selection.starts.iter().zip(ends) {
            cover.add(*start, *end, levels);
        }
        let of_facts = cover.parts.get(&None).map_or(0, |parts| parts.starts.len());
        let all: usize = cover.parts.values().map(|parts| parts.starts.len()).sum();
        if all > MAX_PARTS || of_facts > MAX_FACT_PARTS {
            cover.parts.clear();
            cover.excess = None;
            cover.add(selection.from(), selection.to, &[]);
        }
        cover
    }

    /// Returns true if the whole range is read from facts.
    pub(super) fn is_of_facts(&self) -> bool {
        self.parts.keys().all(Option::is_none)
    }

    /// Returns the parts as the extents of queries.
    pub(super) fn extents(&self) -> Vec<Extent> {
        self.parts.iter().flat_map(|(level, parts)| parts.extents(*level)).collect()
    }

    /// Returns the part whose facts are subtracted.
    pub(super) fn excess(&self) -> Option<Extent> {
        let empty = |(from, _)| (from, from);
        self.excess.map(|range| Extent { level: None, starts: None, ranges: [range, empty(range)] })
    }

    /// Adds a bucket, or a part of one.
    fn add(&mut self, start: DateTime<Utc>, end: DateTime<Utc>, levels: &[Level]) {
        if start >= end {
            return;
        }
        let Some(((level, width), shorter)) = levels.split_first() else {
            self.parts.entry(None).or_default().add(start, end);
            return;
        };
        match whole_rows(start, end, *width) {
            Some((from, to)) => {
                self.add(start, from, shorter);
                self.parts.entry(Some(*level)).or_default().add(from, to);
                self.add(to, end, shorter);
            }
            None => self.add(start, end, shorter),
        }
    }
}

impl Parts {
    fn extents(&self, level: Option<i16>) -> Vec<Extent> {
        let parts: Vec<_> = self.starts.iter().copied().zip(self.ends.iter().copied()).collect();
        if let Some(stored) = level
            && parts.len() > 2
        {
            let width = width(stored);
            let starts = parts.iter().flat_map(|(from, to)| {
                iter::successors(Some(*from), move |start| start.checked_add_signed(width))
                    .take_while(move |start| start < to)
            });
            return vec![Extent { level, starts: Some(starts.collect()), ranges: [parts[0]; 2] }];
        }
        let extent = |some: &[_]| {
            let empty = (self.starts[0], self.starts[0]);
            let ranges = [some[0], some.get(1).copied().unwrap_or(empty)];
            Extent { level, starts: None, ranges }
        };
        parts.chunks(2).map(extent).collect()
    }

    /// Adds a part, or extends the last one if it ends at `start`.
    fn add(&mut self, start: DateTime<Utc>, end: DateTime<Utc>) {
        match self.ends.last_mut() {
            Some(last) if *last == start => *last = end,
            _ => {
                self.starts.push(start);
                self.ends.push(end);
            }
        }
    }
}

/// Returns the part after a range up to now that its last row also covers. Reading it is cheap: few
/// facts are dated later, and the current hour has many.
fn excess(selection: &Selection<'_>) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (last, to) = (*selection.starts.last()?, selection.to);
    if to < selection.now - NEARLY_NOW {
        return None;
    }
    let within = |width: &TimeDelta| {
        let start = to.duration_trunc(*width).ok()?;
        (last <= start && start < to).then_some((to, start + *width))
    };
    [DAY, HOUR, QUARTER].iter().find_map(within)
}

/// Returns the duration of each row of a level.
fn width(level: i16) -> TimeDelta {
    let all = [true, false].into_iter().flat_map(|by_agent| Stored::Sums.levels(by_agent));
    all.copied().find(|(known, _)| *known == level).map_or(QUARTER, |(_, width)| width)
}

/// Returns the bounds of the whole rows between two times; `None` without rows.
fn whole_rows(
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    width: TimeDelta,
) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    // Integer arithmetic: a series has thousands of buckets, and rounding with chrono is slow.
    let width = width.num_microseconds()?;
    let floor = |at: DateTime<Utc>| at.timestamp_micros().div_euclid(width) * width;
    let below = floor(start);
    let is_start = below == start.timestamp_micros() && start.nanosecond().is_multiple_of(1_000);
    let from = if is_start { below } else { below.checked_add(width)? };
    let to = floor(end);
    let at = DateTime::from_timestamp_micros;
    (from < to).then_some((at(from)?, at(to)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-10-{text}:00Z").parse().unwrap()
    }

    fn selection<'a>(starts: &'a [DateTime<Utc>], to: &str) -> Selection<'a> {
        Selection {
            starts,
            to: at(to),
            now: at(to) + TimeDelta::days(1),
            visible: None,
            agents: None,
            sources: None,
            rooms: None,
            split: None,
        }
    }

    /// Returns the parts in the order of time, as text; level 9 is facts.
    fn parts(cover: &Cover) -> Vec<String> {
        let each = cover.parts.iter().flat_map(|(level, parts)| {
            let bounds = parts.starts.iter().zip(&parts.ends);
            bounds.map(move |(from, to)| (*from, *to, level.unwrap_or(9)))
        });
        let mut all: Vec<_> = each.collect();
        all.sort();
        let show = |(from, to, level): (DateTime<Utc>, DateTime<Utc>, i16)| {
            format!("{level} {} {}", from.format("%dT%H:%M"), to.format("%dT%H:%M"))
        };
        all.into_iter().map(show).collect()
    }

    fn sums(selection: &Selection<'_>) -> Vec<String> {
        parts(&Cover::of(selection, Stored::Sums))
    }

    #[test]
    fn longest_rows_that_fit_into_the_buckets_are_read() {
        let starts = [at("01T08:10")];
        let all = selection(&starts, "03T10:50");
        assert_eq!(
            sums(&all),
            [
                "9 01T08:10 01T08:15",
                "0 01T08:15 01T09:00",
                "3 01T09:00 02T00:00",
                "4 02T00:00 03T00:00",
                "3 03T00:00 03T10:00",
                "0 03T10:00 03T10:45",
                "9 03T10:45 03T10:50",
            ]
        );
        let agents = ["A".to_owned()];
        let one = Selection { agents: Some(&agents), ..all.clone() };
        assert_eq!(
            sums(&one)[2..5],
            ["2 01T09:00 02T00:00", "5 02T00:00 03T00:00", "2 03T00:00 03T10:00"]
        );
        assert_eq!(Cover::of(&one, Stored::Sums).agents, Some(agents.to_vec()));
        let gaps = parts(&Cover::of(&all, Stored::ReplyGaps));
        assert_eq!(gaps[3], "4 02T00:00 03T00:00");
        let gaps = parts(&Cover::of(&one, Stored::ReplyGaps));
        assert_eq!(gaps[2], "2 01T09:00 03T10:00");
    }

    #[test]
    fn last_row_of_range_up_to_now_is_read_whole_and_excess_is_subtracted() {
        let hours = [at("03T08:00"), at("03T09:00"), at("03T10:00")];
        let series = selection(&hours, "03T10:50");
        let now = Selection { now: at("03T10:50"), ..series.clone() };
        let cover = Cover::of(&now, Stored::Sums);
        assert_eq!(parts(&cover), ["3 03T08:00 03T11:00"]);
        assert_eq!(cover.excess, Some((at("03T10:50"), at("03T11:00"))));
        assert_eq!(cover.excess().unwrap().ranges[0], (at("03T10:50"), at("03T11:00")));
        // A range that ended earlier, one that ends with a row, and one that rows cannot answer.
        assert_eq!(Cover::of(&series, Stored::Sums).excess, None);
        let whole = Selection { to: at("03T11:00"), now: at("03T11:00"), ..now.clone() };
        assert_eq!(Cover::of(&whole, Stored::Sums).excess, None);
        let role = Selection { split: Some(Split::Role), ..now.clone() };
        assert_eq!(Cover::of(&role, Stored::Sums).excess, None);

        let days = [at("01T08:10")];
        let all = Selection { starts: &days, ..now };
        let cover = Cover::of(&all, Stored::Sums);
        assert_eq!(parts(&cover)[3..], ["4 02T00:00 04T00:00"]);
        assert_eq!(cover.excess, Some((at("03T10:50"), at("04T00:00"))));
    }

    #[test]
    fn rows_of_neighbouring_buckets_are_one_part() {
        let hours = [at("01T08:00"), at("01T09:00"), at("01T10:00")];
        assert_eq!(sums(&selection(&hours, "01T11:00")), ["3 01T08:00 01T11:00"]);
        let halves = [at("01T08:30"), at("01T09:30")];
        assert_eq!(sums(&selection(&halves, "01T10:30")), ["0 01T08:30 01T10:30"]);
        let days = [at("01T22:30"), at("02T22:30")];
        let cut = ["0 01T22:30 01T23:00", "3 01T23:00 02T22:00", "0 02T22:00 02T23:00"];
        assert_eq!(sums(&selection(&days, "03T22:30"))[..3], cut);
    }

    #[test]
    fn selection_that_rows_cannot_answer_is_read_from_facts() {
        let starts = [at("01T08:00"), at("01T09:00")];
        let all = selection(&starts, "01T10:00");
        assert!(!Cover::of(&all, Stored::Sums).is_of_facts());
        let rooms = ["r".to_owned()];
        let minutes = [at("01T08:00"), at("01T08:01")];
        for facts in [
            Selection { rooms: Some(&rooms), ..all.clone() },
            Selection { split: Some(Split::Role), ..all.clone() },
            selection(&minutes, "01T08:02"),
            selection(&starts[..1], "01T08:10"),
        ] {
            let cover = Cover::of(&facts, Stored::Sums);
            assert!(cover.is_of_facts(), "{facts:?}");
            let whole = Parts { starts: vec![facts.from()], ends: vec![facts.to] };
            assert_eq!(cover.parts[&None], whole);
        }
    }

    #[test]
    fn range_with_too_many_parts_is_read_from_facts() {
        let starts: Vec<_> =
            (0..3_000).map(|n| at("01T00:07") + TimeDelta::minutes(90) * n).collect();
        let cover = Cover::of(
            &Selection { to: starts[2_999], ..selection(&starts, "01T00:00") },
            Stored::Sums,
        );
        assert!(cover.is_of_facts());
        assert_eq!(cover.parts[&None].starts, [starts[0]]);
    }

    #[test]
    fn few_parts_are_read_as_ranges_and_many_by_row_starts() {
        let one = [at("01T08:10")];
        let cover = Cover::of(&selection(&one, "03T10:50"), Stored::Sums);
        let extents = cover.extents();
        assert_eq!(extents.len(), 4);
        assert_eq!(
            extents[0],
            Extent {
                level: None,
                starts: None,
                ranges: [(one[0], at("01T08:15")), (at("03T10:45"), at("03T10:50"))],
            }
        );
        let days = extents.iter().find(|extent| extent.level == Some(4)).unwrap();
        let [first, second] = days.ranges;
        assert_eq!(first, (at("02T00:00"), at("03T00:00")));
        assert_eq!(second.0, second.1, "empty range");

        let halves: Vec<_> = (1..5).map(|day| at(&format!("0{day}T22:30"))).collect();
        let cover = Cover::of(&selection(&halves, "05T22:30"), Stored::Sums);
        let hours = cover.extents().into_iter().find(|extent| extent.level == Some(3)).unwrap();
        let starts = hours.starts.unwrap();
        assert_eq!(starts.len(), 4 * 23);
        assert_eq!((starts[0], starts[91]), (at("01T23:00"), at("05T21:00")));
    }

    #[test]
    fn agents_are_both_visible_and_selected() {
        let starts = [at("01T08:00")];
        let (visible, agents) =
            (["A".to_owned(), "B".to_owned()], ["B".to_owned(), "C".to_owned()]);
        let chosen = Selection {
            visible: Some(&visible),
            agents: Some(&agents),
            ..selection(&starts, "01T10:00")
        };
        assert_eq!(Cover::of(&chosen, Stored::Sums).agents, Some(vec!["B".to_owned()]));
    }
}
