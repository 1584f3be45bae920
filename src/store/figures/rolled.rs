//! Part of a range whose sums are read from `activity`; the rest of it is read from facts.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::{Selection, Split};

const QUARTER: TimeDelta = TimeDelta::minutes(15);
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Part of a range that has whole rows of `activity` in each bucket.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rolled {
    /// Level of the rows.
    pub(super) level: i16,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    /// Agents of the rows; `None` is all.
    pub(super) agents: Option<Vec<String>>,
}

impl Rolled {
    /// Returns the longest such part; an empty one where rows do not know what is selected, or do not
    /// fit into the buckets.
    pub(super) fn of(selection: &Selection<'_>) -> Self {
        let none = Self { level: 0, from: selection.from(), to: selection.from(), agents: None };
        let by_agent = selection.visible.is_some()
            || selection.agents.is_some()
            || selection.split == Some(Split::Agent);
        let within = selection.starts.get(1..).unwrap_or_default();
        let fit = |width| within.iter().all(|start| floor(*start, width) == Some(*start));
        let (level, width) = match (by_agent, fit(QUARTER)) {
            _ if selection.rooms.is_some() || selection.split == Some(Split::Role) => return none,
            (_, false) => return none,
            (false, true) => (0, QUARTER),
            (true, true) if fit(HOUR) => (2, HOUR),
            (true, true) => (1, QUARTER),
        };
        let bounds = ceil(selection.from(), width).zip(floor(selection.to, width));
        match bounds.filter(|(from, to)| from < to) {
            Some((from, to)) => {
                let agents = if by_agent { selection.seen() } else { Some(vec![String::new()]) };
                Self { level, from, to, agents }
            }
            None => none,
        }
    }
}

/// Fails for times that are far away from everything that is stored.
fn floor(at: DateTime<Utc>, width: TimeDelta) -> Option<DateTime<Utc>> {
    at.duration_trunc(width).ok()
}

fn ceil(at: DateTime<Utc>, width: TimeDelta) -> Option<DateTime<Utc>> {
    let start = floor(at, width)?;
    Some(if start < at { start + width } else { start })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-10-01T{text}Z").parse().unwrap()
    }

    fn selection<'a>(starts: &'a [DateTime<Utc>], to: &str) -> Selection<'a> {
        let to = at(to);
        Selection {
            starts,
            to,
            visible: None,
            agents: None,
            sources: None,
            rooms: None,
            split: None,
        }
    }

    fn bounds(selection: &Selection<'_>) -> (i16, DateTime<Utc>, DateTime<Utc>) {
        let rolled = Rolled::of(selection);
        (rolled.level, rolled.from, rolled.to)
    }

    #[test]
    fn a_range_that_cuts_quarter_hours_has_whole_ones_within() {
        let starts = [at("08:10:00"), at("09:00:00"), at("10:00:00")];
        let all = selection(&starts, "10:59:59.5");
        assert_eq!(bounds(&all), (0, at("08:15:00"), at("10:45:00")));
        let agents = ["A".to_owned()];
        let one = Selection { agents: Some(&agents), ..all.clone() };
        assert_eq!(bounds(&one), (2, at("09:00:00"), at("10:00:00")));
        assert_eq!(Rolled::of(&one).agents, Some(agents.to_vec()));
    }

    #[test]
    fn buckets_of_half_hours_are_read_from_quarter_hours() {
        let starts = [at("08:30:00"), at("09:30:00")];
        let split = Selection { split: Some(Split::Agent), ..selection(&starts, "10:30:00") };
        assert_eq!(bounds(&split), (1, at("08:30:00"), at("10:30:00")));
    }

    #[test]
    fn what_rows_do_not_know_is_read_from_facts() {
        let starts = [at("08:00:00"), at("09:00:00")];
        let all = selection(&starts, "10:00:00");
        assert_ne!(bounds(&all).1, bounds(&all).2);
        let rooms = ["r".to_owned()];
        let minutes = [at("08:00:00"), at("08:01:00")];
        for facts in [
            Selection { rooms: Some(&rooms), ..all.clone() },
            Selection { split: Some(Split::Role), ..all.clone() },
            Selection { starts: &minutes, ..all.clone() },
            selection(&starts[..1], "08:10:00"),
        ] {
            let (_, from, to) = bounds(&facts);
            assert_eq!(from, to, "{facts:?}");
        }
    }

    #[test]
    fn agents_are_those_that_are_visible_and_chosen() {
        let starts = [at("08:00:00")];
        let (visible, agents) =
            (["A".to_owned(), "B".to_owned()], ["B".to_owned(), "C".to_owned()]);
        let chosen = Selection {
            visible: Some(&visible),
            agents: Some(&agents),
            ..selection(&starts, "10:00:00")
        };
        assert_eq!(Rolled::of(&chosen).agents, Some(vec!["B".to_owned()]));
    }
}
