//! Metrics of the catalogue by bucket and group, computed from counts and spreads.

use std::collections::{BTreeSet, HashMap};

use super::{
    Cell, Cells, Distinct, MessageCounts, Selection, SessionCounts, Snapshot, Split, Spread,
    Value as Of,
};
use crate::analytics::catalog::{Dimension, Metric, Stat, Unit};
use crate::store::StoreError;

/// Metric with one of its statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// The metric.
    pub metric: &'static Metric,
    /// The statistic, one of the metric's.
    pub stat: Stat,
}

/// Groups of a metric's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// By a column of facts.
    By(Split),
    /// By completeness flag.
    Flag,
}

impl Grouping {
    /// All groupings.
    pub const ALL: [Self; 4] =
        [Self::By(Split::Agent), Self::By(Split::Source), Self::By(Split::Role), Self::Flag];

    /// Name in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::By(Split::Agent) => "agent",
            Self::By(Split::Source) => "source",
            Self::By(Split::Role) => "role",
            Self::Flag => "flag",
        }
    }

    /// Dimension of the catalogue.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        match self {
            Self::By(Split::Agent) => Dimension::Agent,
            Self::By(Split::Source) => Dimension::Source,
            Self::By(Split::Role) => Dimension::Role,
            Self::Flag => Dimension::Flag,
        }
    }

    /// Split of the selection to read. Counts by flag are read unsplit.
    #[must_use]
    pub fn split(self) -> Option<Split> {
        match self {
            Self::By(split) => Some(split),
            Self::Flag => None,
        }
    }
}

/// Facts that a metric is computed from.
#[derive(Clone, Copy)]
enum Basis {
    /// A number of sessions.
    Sessions(fn(&SessionCounts) -> i64),
    /// A share of the sessions.
    Share(fn(&SessionCounts) -> i64),
    /// A number of messages.
    Messages(fn(&MessageCounts) -> i64),
    Visits,
    Distinct(fn(&Distinct) -> i64),
    Concurrency,
    Spread(Of),
}

fn basis(metric: &Metric) -> Option<Basis> {
    Some(match metric.name {
        "sessions" => Basis::Sessions(|counts| counts.sessions),
        "engaged_sessions" => Basis::Sessions(|counts| counts.engaged),
        "silent_sessions" => Basis::Sessions(|counts| counts.silent),
        "single_turn_sessions" => Basis::Sessions(|counts| counts.single_turn),
        "incomplete_sessions" => Basis::Sessions(|counts| counts.incomplete),
        "engagement_rate" => Basis::Share(|counts| counts.engaged),
        "silent_rate" => Basis::Share(|counts| counts.silent),
        "single_turn_rate" => Basis::Share(|counts| counts.single_turn),
        "messages" => Basis::Messages(|counts| counts.messages),
        "user_messages" => Basis::Messages(|counts| counts.user),
        "assistant_messages" => Basis::Messages(|counts| counts.assistant),
        "turns" => Basis::Messages(|counts| counts.turns),
        "visits" => Basis::Visits,
        "active_sessions" => Basis::Distinct(|distinct| distinct.sessions),
        "agents" => Basis::Distinct(|distinct| distinct.agents),
        "concurrent_sessions" => Basis::Concurrency,
        "session_duration" => Basis::Spread(Of::SessionDuration),
        "messages_per_session" => Basis::Spread(Of::Messages),
        "turns_per_session" => Basis::Spread(Of::Turns),
        "reply_gap" => Basis::Spread(Of::ReplyGap),
        "first_reply_gap" => Basis::Spread(Of::FirstReplyGap),
        "longest_silence" => Basis::Spread(Of::LongestSilence),
        _ => return None,
    })
}

/// Returns the value whose spread a metric is; `None` for a metric of another kind.
pub(super) fn value_of(metric: &Metric) -> Option<Of> {
    match basis(metric) {
        Some(Basis::Spread(value)) => Some(value),
        _ => None,
    }
}

/// Value of a metric in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// The value; `None` without anything to compute it from.
    pub value: Option<Number>,
    /// Numerator and denominator of a ratio.
    pub parts: Option<(i64, i64)>,
}

impl Figure {
    fn count(count: i64) -> Self {
        Self { value: Some(Number::Whole(count)), parts: None }
    }

    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    fn ratio(numerator: i64, denominator: i64) -> Self {
        let value = numerator as f64 / denominator as f64;
        let value = (denominator != 0).then_some(Number::Real(value));
        Self { value, parts: Some((numerator, denominator)) }
    }

    /// Returns a metric's figure where there is nothing.
    #[must_use]
    pub fn of_nothing(metric: &Metric) -> Self {
        match metric.unit {
            Unit::Ratio => Self::ratio(0, 0),
            _ if metric.additive => Self::count(0),
            _ => Self::default(),
        }
    }

    /// Returns the figure of two parts together, for a metric that adds up: the sum of counts, the
    /// ratio of added numerators and denominators. Other figures leave nothing.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self { parts: Some(one), .. }, Self { parts: Some(other), .. }) => {
                Self::ratio(one.0 + other.0, one.1 + other.1)
            }
            (
                Self { value: Some(Number::Whole(one)), .. },
                Self { value: Some(Number::Whole(other)), .. },
            ) => Self::count(one + other),
            _ => Self::default(),
        }
    }
}

/// Whole or floating-point number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A number of things.
    Whole(i64),
    /// Any other number.
    Real(f64),
}

impl Number {
    /// Returns it as a floating-point number.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// Counts and spreads of a selection, as far as some metrics need them.
#[derive(Debug, Default)]
pub struct Figures {
    by_flag: bool,
    sessions: Option<Cells<SessionCounts>>,
    messages: Option<Cells<MessageCounts>>,
    visits: Option<Cells<i64>>,
    distinct: Option<Cells<Distinct>>,
    concurrency: Option<Cells<i64>>,
    spreads: HashMap<Of, Cells<Spread>>,
}

impl Figures {
    /// Reads what the metrics need, each table once. The selection is split as `grouping` says. Fails
    /// before anything is read where that would be too expensive.
    pub async fn read(
        snapshot: &mut Snapshot,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        grouping: Option<Grouping>,
    ) -> Result<Self, StoreError> {
        snapshot.check_cost(selection, wanted, true).await?;
        let mut all = Self { by_flag: grouping == Some(Grouping::Flag), ..Self::default() };
        for basis in wanted.iter().filter_map(|one| basis(one.metric)) {
            match basis {
                Basis::Sessions(_) | Basis::Share(_) if all.sessions.is_none() => {
                    all.sessions = Some(snapshot.session_counts(selection).await?);
                }
                Basis::Messages(_) if all.messages.is_none() => {
                    all.messages = Some(snapshot.message_counts(selection).await?);
                }
                Basis::Visits if all.visits.is_none() => {
                    all.visits = Some(snapshot.visit_counts(selection).await?);
                }
                Basis::Distinct(_) if all.distinct.is_none() => {
                    all.distinct = Some(snapshot.distinct(selection).await?);
                }
                Basis::Concurrency if all.concurrency.is_none() => {
                    all.concurrency = Some(snapshot.concurrency(selection).await?);
                }
                Basis::Spread(of) if !all.spreads.contains_key(&of) => {
                    all.spreads.insert(of, snapshot.spread(of, selection).await?);
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Returns the groups that have a cell, in order; without a grouping the one that holds all.
    #[must_use]
    pub fn groups(&self, grouping: Option<Grouping>) -> Vec<Option<String>> {
        match grouping {
            None => return vec![None],
            Some(Grouping::Flag) => {
                return SessionCounts::FLAGS.map(|flag| Some(flag.to_owned())).into();
            }
            Some(Grouping::By(_)) => {}
        }
        let mut groups = BTreeSet::new();
        groups.extend(self.sessions.iter().flat_map(names));
        groups.extend(self.messages.iter().flat_map(names));
        groups.extend(self.visits.iter().flat_map(names));
        groups.extend(self.distinct.iter().flat_map(names));
        groups.extend(self.concurrency.iter().flat_map(names));
        groups.extend(self.spreads.values().flat_map(names));
        groups.into_iter().map(Some).collect()
    }

    /// Returns the value of a metric in a cell. `(0, None)` is the whole of a selection with one
    /// bucket.
    #[must_use]
    pub fn figure(&self, wanted: Wanted, cell: &Cell) -> Figure {
        let count = Figure::count;
        match basis(wanted.metric) {
            Some(Basis::Sessions(_)) if self.by_flag => count(self.flagged(cell)),
            Some(Basis::Sessions(of)) => count(find(self.sessions.as_ref(), cell).map_or(0, of)),
            Some(Basis::Messages(of)) => count(find(self.messages.as_ref(), cell).map_or(0, of)),
            Some(Basis::Visits) => count(find(self.visits.as_ref(), cell).copied().unwrap_or(0)),
            Some(Basis::Distinct(of)) => count(find(self.distinct.as_ref(), cell).map_or(0, of)),
            Some(Basis::Concurrency) => {
                count(find(self.concurrency.as_ref(), cell).copied().unwrap_or(0))
            }
            Some(Basis::Share(of)) => {
                let counts = find(self.sessions.as_ref(), cell).copied().unwrap_or_default();
                Figure::ratio(of(&counts), counts.sessions)
            }
            Some(Basis::Spread(of)) => {
                let spread = self.spreads.get(&of).and_then(|cells| cells.get(cell));
                let value = spread.map(|spread| statistic(spread, wanted));
                Figure { value, parts: None }
            }
            None => Figure::default(),
        }
    }

    /// Sessions with the flag that a cell's group names.
    fn flagged(&self, (bucket, flag): &Cell) -> i64 {
        let place = SessionCounts::FLAGS.iter().position(|one| Some(*one) == flag.as_deref());
        let counts = find(self.sessions.as_ref(), &(*bucket, None));
        place.zip(counts).map_or(0, |(place, counts)| counts.flags[place])
    }
}

/// Names of the groups that have a cell.
fn names<T>(cells: &Cells<T>) -> impl Iterator<Item = String> {
    cells.keys().filter_map(|(_, group)| group.clone())
}

fn find<'a, T>(cells: Option<&'a Cells<T>>, cell: &Cell) -> Option<&'a T> {
    cells.and_then(|cells| cells.get(cell))
}

/// Figure of values of sessions. Counts and ratios are of values that are 0 or 1.
pub(super) fn figure_of_values(values: &Spread, wanted: Wanted) -> Figure {
    match wanted.stat {
        Stat::Count => Figure::count(values.sum),
        Stat::Ratio => Figure::ratio(values.sum, values.count),
        _ => Figure { value: Some(statistic(values, wanted)), parts: None },
    }
}

/// Statistic of a spread, in the metric's unit.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn statistic(spread: &Spread, wanted: Wanted) -> Number {
    const MICROS: f64 = 1e6;
    let [p50, p90, p99] = spread.percentiles;
    let seconds = wanted.metric.unit == Unit::Seconds;
    let scaled = |value: f64| Number::Real(if seconds { value / MICROS } else { value });
    match wanted.stat {
        Stat::P50 => scaled(p50),
        Stat::P90 => scaled(p90),
        Stat::P99 => scaled(p99),
        Stat::Max if seconds => scaled(spread.max as f64),
        Stat::Max => Number::Whole(spread.max),
        Stat::Avg | Stat::Count | Stat::Distinct | Stat::Ratio => {
            scaled(spread.sum as f64 / spread.count as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::catalog::METRICS;

    #[test]
    fn every_metric_is_read_from_something() {
        for metric in &METRICS {
            let basis = basis(metric).unwrap_or_else(|| panic!("{}", metric.name));
            let spread = matches!(basis, Basis::Spread(_));
            assert_eq!(spread, metric.statistics.contains(&Stat::Avg), "{}", metric.name);
            let share = matches!(basis, Basis::Share(_));
            assert_eq!(share, metric.unit == Unit::Ratio, "{}", metric.name);
        }
    }

    #[test]
    fn a_ratio_of_nothing_is_null() {
        assert_eq!(Figure::ratio(0, 0), Figure { value: None, parts: Some((0, 0)) });
        assert_eq!(Figure::ratio(1, 4).value, Some(Number::Real(0.25)));
    }

    #[test]
    fn counts_and_ratios_add_up() {
        assert_eq!(Figure::count(2).plus(Figure::count(3)), Figure::count(5));
        assert_eq!(Figure::ratio(1, 2).plus(Figure::ratio(0, 2)), Figure::ratio(1, 4));
        assert_eq!(Figure::count(1).plus(Figure::default()), Figure::default());
        for metric in &METRICS {
            let nothing = Figure::of_nothing(metric);
            let same = if metric.adds_up() { nothing } else { Figure::default() };
            assert_eq!(nothing.plus(nothing), same, "{}", metric.name);
        }
    }
}
