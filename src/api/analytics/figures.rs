//! Figures of metrics by bucket and group, from what the store counts.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::request::{Grouping, Wanted};
use crate::analytics::catalog::{Metric, Stat, Unit};
use crate::api::views::analytics::Shown;
use crate::problem::Problem;
use crate::store::figures::{
    Cell, Cells, Distinct, MessageCounts, Selection, SessionCounts, Snapshot, Spread, Value as Of,
};

/// What a metric is read from.
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

/// One figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Figure {
    /// Null where there is nothing to compute it from.
    pub(super) value: Option<Number>,
    /// Of a ratio: what is divided, and by what.
    pub(super) parts: Option<(i64, i64)>,
}

impl From<Figure> for Shown {
    fn from(figure: Figure) -> Self {
        Self {
            value: figure.value.map(Number::as_f64),
            whole: figure.value.and_then(|value| match value {
                Number::Whole(whole) => Some(whole),
                Number::Real(_) => None,
            }),
            parts: figure.parts,
        }
    }
}

/// A number of things, or any other number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        match number {
            Number::Whole(number) => number.into(),
            Number::Real(number) => number.into(),
        }
    }
}

/// All that was read for some metrics.
#[derive(Default)]
pub(super) struct Figures {
    by_flag: bool,
    sessions: Option<Cells<SessionCounts>>,
    messages: Option<Cells<MessageCounts>>,
    visits: Option<Cells<i64>>,
    distinct: Option<Cells<Distinct>>,
    concurrency: Option<Cells<i64>>,
    spreads: HashMap<Of, Cells<Spread>>,
}

impl Figures {
    /// Reads what the metrics need, each table once.
    pub(super) async fn read(
        snapshot: &mut Snapshot,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        grouping: Option<Grouping>,
    ) -> Result<Self, Problem> {
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

    /// Groups that have anything, in order; without a grouping the one that holds all.
    pub(super) fn groups(&self, grouping: Option<Grouping>) -> Vec<Option<String>> {
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

    /// Figure of a metric in a cell.
    pub(super) fn figure(&self, wanted: Wanted, cell: &Cell) -> Figure {
        let count = |count: i64| Figure { value: Some(Number::Whole(count)), parts: None };
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
                ratio(of(&counts), counts.sessions)
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

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
fn ratio(numerator: i64, denominator: i64) -> Figure {
    let value = numerator as f64 / denominator as f64;
    let value = (denominator != 0).then_some(Number::Real(value));
    Figure { value, parts: Some((numerator, denominator)) }
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
        assert_eq!(ratio(0, 0), Figure { value: None, parts: Some((0, 0)) });
        assert_eq!(ratio(1, 4).value, Some(Number::Real(0.25)));
    }
}
