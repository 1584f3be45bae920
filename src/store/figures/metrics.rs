//! Metrics of the catalogue by bucket and group, computed from counts and spreads.

use std::collections::{BTreeSet, HashMap};

use super::counts::Kinds;
use super::figure::{Figure, Wanted, average, statistic};
use super::presence::concurrency;
use super::session_rows::Columns;
use super::sessions::spread_of_sessions;
use super::{
    Cell, Cells, Counts, Distinct, MessageCounts, Selection, SessionCounts, Snapshot, Split,
    Spread, Value as Of,
};
use crate::analytics::catalog::{Dimension, Metric, Stat};
use crate::store::StoreError;

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

    /// Returns the name in requests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::By(Split::Agent) => "agent",
            Self::By(Split::Source) => "source",
            Self::By(Split::Role) => "role",
            Self::Flag => "flag",
        }
    }

    /// Returns the dimension in the catalogue.
    #[must_use]
    pub fn dimension(self) -> Dimension {
        match self {
            Self::By(Split::Agent) => Dimension::Agent,
            Self::By(Split::Source) => Dimension::Source,
            Self::By(Split::Role) => Dimension::Role,
            Self::Flag => Dimension::Flag,
        }
    }

    /// Returns the split of the selection to read. Counts by flag are read without a split.
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
    /// Number of sessions.
    Sessions(fn(&SessionCounts) -> i64),
    /// Share of the sessions.
    Share(fn(&SessionCounts) -> i64),
    /// Number of messages.
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

/// Returns the value of a metric that is a spread; `None` for other metrics.
pub(super) fn value_of(metric: &Metric) -> Option<Of> {
    match basis(metric) {
        Some(Basis::Spread(value)) => Some(value),
        _ => None,
    }
}

/// Counts and spreads of a selection that some metrics need.
#[derive(Debug, Default)]
pub struct Figures {
    by_flag: bool,
    /// Kinds that are counted, and values whose averages are computed from counts.
    counted: (Kinds, Vec<Of>),
    counts: Option<Cells<Counts>>,
    distinct: Option<Cells<Distinct>>,
    concurrency: Option<Cells<i64>>,
    spreads: HashMap<Of, Cells<Spread>>,
}

/// Data to read for some metrics.
#[derive(Debug, Default)]
struct Needs {
    kinds: Kinds,
    averages: Vec<Of>,
    sessions: Columns,
    reply_gaps: bool,
}

impl Needs {
    fn of(wanted: &[Wanted]) -> Self {
        let mut needs = Self::default();
        for one in wanted {
            match basis(one.metric) {
                Some(Basis::Sessions(_) | Basis::Share(_)) => needs.kinds.sessions = true,
                Some(Basis::Messages(_)) => needs.kinds.messages = true,
                Some(Basis::Visits) => needs.kinds.visits = true,
                Some(Basis::Distinct(_)) => needs.sessions.events = true,
                Some(Basis::Concurrency) => needs.sessions.activity = true,
                // An average is a sum over a count.
                Some(Basis::Spread(of)) if one.stat == Stat::Avg => needs.averages.push(of),
                Some(Basis::Spread(Of::ReplyGap)) => needs.reply_gaps = true,
                Some(Basis::Spread(of)) if !needs.sessions.values.contains(&of) => {
                    needs.sessions.values.push(of);
                }
                Some(Basis::Spread(_)) | None => {}
            }
        }
        needs
    }
}

impl Figures {
    /// Reads the data that the metrics need, each table once. The selection must be split by
    /// `grouping`. Fails without reading anything if that would be too expensive.
    pub async fn read(
        snapshot: &mut Snapshot,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        grouping: Option<Grouping>,
    ) -> Result<Self, StoreError> {
        snapshot.check_cost(selection, wanted, true).await?;
        let needs = Needs::of(wanted);
        let mut all = Self { by_flag: grouping == Some(Grouping::Flag), ..Self::default() };
        let of_replies = |of: &Of| *of == Of::ReplyGap;
        let kinds = Kinds {
            // Bins of reply gaps also need exact counts and sums.
            messages: needs.kinds.messages
                || needs.reply_gaps
                || needs.averages.iter().any(of_replies),
            sessions: needs.kinds.sessions || !needs.averages.iter().all(of_replies),
            visits: needs.kinds.visits,
        };
        if kinds != Kinds::default() {
            let counts = snapshot.counts(kinds, selection).await?;
            if needs.reply_gaps {
                let spread = snapshot.spread_of_replies(&counts, selection).await?;
                all.spreads.insert(Of::ReplyGap, spread);
            }
            all.counts = Some(counts);
        }
        all.counted = (needs.kinds, needs.averages);
        if needs.sessions != Columns::default() {
            let sessions = snapshot.sessions(&needs.sessions, selection).await?;
            if needs.sessions.events {
                all.distinct = Some(snapshot.distinct(&sessions, selection).await?);
            }
            if needs.sessions.activity {
                all.concurrency = Some(concurrency(&sessions, selection));
            }
            for value in needs.sessions.values {
                all.spreads.insert(value, spread_of_sessions(&sessions, value, selection));
            }
        }
        Ok(all)
    }

    /// Returns the groups that have a cell, in order; without a grouping, the one group of all.
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
        let counted = |counts: &Counts| {
            let (kinds, averages) = &self.counted;
            kinds.has(counts) || averages.iter().any(|of| counts.count_and_sum(*of).0 > 0)
        };
        let counts = self.counts.iter().flatten().filter(|(_, counts)| counted(counts));
        groups.extend(counts.filter_map(|((_, group), _)| group.clone()));
        groups.extend(self.distinct.iter().flat_map(names));
        groups.extend(self.concurrency.iter().flat_map(names));
        groups.extend(self.spreads.values().flat_map(names));
        groups.into_iter().map(Some).collect()
    }

    /// Returns the figure of a metric in a cell. `(0, None)` is the whole selection if it has one
    /// bucket.
    #[must_use]
    pub fn figure(&self, wanted: Wanted, cell: &Cell) -> Figure {
        let count = Figure::count;
        let counts = || find(self.counts.as_ref(), cell).copied().unwrap_or_default();
        match basis(wanted.metric) {
            Some(Basis::Sessions(_)) if self.by_flag => count(self.flagged(cell)),
            Some(Basis::Sessions(of)) => count(of(&counts().sessions)),
            Some(Basis::Messages(of)) => count(of(&counts().messages)),
            Some(Basis::Visits) => count(counts().visits),
            Some(Basis::Distinct(of)) => count(find(self.distinct.as_ref(), cell).map_or(0, of)),
            Some(Basis::Concurrency) => {
                count(find(self.concurrency.as_ref(), cell).copied().unwrap_or(0))
            }
            Some(Basis::Share(of)) => {
                let counts = counts().sessions;
                Figure::ratio(of(&counts), counts.sessions)
            }
            Some(Basis::Spread(of)) if wanted.stat == Stat::Avg => {
                let (number, sum) = counts().count_and_sum(of);
                let value = (number > 0).then(|| average(number, sum, wanted));
                Figure { value, parts: None }
            }
            Some(Basis::Spread(of)) => {
                let spread = self.spreads.get(&of).and_then(|cells| cells.get(cell));
                let value = spread.map(|spread| statistic(spread, wanted));
                Figure { value, parts: None }
            }
            None => Figure::default(),
        }
    }

    /// Returns the number of sessions with the flag that a cell's group names.
    fn flagged(&self, (bucket, flag): &Cell) -> i64 {
        let place = SessionCounts::FLAGS.iter().position(|one| Some(*one) == flag.as_deref());
        let counts = find(self.counts.as_ref(), &(*bucket, None));
        place.zip(counts).map_or(0, |(place, counts)| counts.sessions.flags[place])
    }
}

/// Returns the names of the groups that have a cell.
fn names<T>(cells: &Cells<T>) -> impl Iterator<Item = String> {
    cells.keys().filter_map(|(_, group)| group.clone())
}

fn find<'a, T>(cells: Option<&'a Cells<T>>, cell: &Cell) -> Option<&'a T> {
    cells.and_then(|cells| cells.get(cell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::catalog::{METRICS, Unit};

    #[test]
    fn every_metric_has_a_basis() {
        for metric in &METRICS {
            let basis = basis(metric).unwrap_or_else(|| panic!("{}", metric.name));
            let spread = matches!(basis, Basis::Spread(_));
            assert_eq!(spread, metric.statistics.contains(&Stat::Avg), "{}", metric.name);
            let share = matches!(basis, Basis::Share(_));
            assert_eq!(share, metric.unit == Unit::Ratio, "{}", metric.name);
        }
    }
}
