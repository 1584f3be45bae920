//! Catalogue of the metrics: the single declaration of each metric's name, unit, statistics,
//! attribution, groups and histogram edges.

use serde::Serialize;
use utoipa::ToSchema;

/// Unit of a metric's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Number of things.
    Count,
    /// Share, from 0 to 1.
    Ratio,
    /// Duration.
    Seconds,
}

/// Statistic of a metric over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stat {
    /// Number of things.
    Count,
    /// Number of different things.
    Distinct,
    /// Numerator divided by denominator.
    Ratio,
    /// Arithmetic mean.
    Avg,
    /// Median, interpolated linearly.
    P50,
    /// 90th percentile, interpolated linearly.
    P90,
    /// 99th percentile, interpolated linearly.
    P99,
    /// Largest value.
    Max,
}

impl Stat {
    /// All statistics.
    pub const ALL: [Self; 8] = [
        Self::Count,
        Self::Distinct,
        Self::Ratio,
        Self::Avg,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::Max,
    ];

    /// Name in requests and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Distinct => "distinct",
            Self::Ratio => "ratio",
            Self::Avg => "avg",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::Max => "max",
        }
    }
}

/// Event whose time determines the bucket of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// Start of the session.
    SessionStart,
    /// First message of the visit.
    VisitStart,
    /// Message.
    MessageTime,
    /// First message of the turn.
    TurnStart,
    /// Assistant message that replies.
    Reply,
    /// Every join, message and session end.
    EachEvent,
    /// Every instant of the bucket.
    EachInstant,
}

/// Dimension by which a metric can be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Agent.
    Agent,
    /// Source that delivered the session.
    Source,
    /// Role of the speaker.
    Role,
    /// Completeness flag. Flags overlap, so their counts do not add up.
    Flag,
}

/// Metric of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct Metric {
    /// Name in requests and answers.
    #[schema(example = "reply_gap")]
    pub name: &'static str,
    /// Name on a page.
    #[schema(example = "Reply gap")]
    pub label: &'static str,
    /// Definition for a person.
    #[schema(example = "Time from a user message to the assistant message right after it.")]
    pub description: &'static str,
    /// Unit of the values.
    pub unit: Unit,
    /// Statistics that can be requested; the first one is the default.
    pub statistics: &'static [Stat],
    /// Event whose time determines the bucket of a value.
    pub attribution: Attribution,
    /// `true` if the values of buckets, agents and sources add up to the value of the whole.
    #[schema(example = false)]
    pub additive: bool,
    /// `true` if values are exact.
    #[schema(example = true)]
    pub exact: bool,
    /// Largest relative error; null if values are exact.
    pub error_bound: Option<f64>,
    /// Dimensions by which it can be split.
    pub group_by: &'static [Dimension],
    /// Lower edges of its histogram's bins, the last of which has no upper edge; empty if it has no
    /// histogram.
    #[schema(example = json!([0.0, 1.0, 2.0, 5.0]))]
    pub histogram_edges: &'static [f64],
}

const COUNT: &[Stat] = &[Stat::Count];
const DISTINCT: &[Stat] = &[Stat::Distinct];
const RATIO: &[Stat] = &[Stat::Ratio];
const SPREAD: &[Stat] = &[Stat::Avg, Stat::P50, Stat::P90, Stat::P99, Stat::Max];

const BY_AGENT_AND_SOURCE: &[Dimension] = &[Dimension::Agent, Dimension::Source];

/// From a pause for breath to a minute.
const GAP_EDGES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0];
/// From a passer-by to an hour.
const DURATION_EDGES: &[f64] =
    &[0.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
/// From no message to a hundred.
const SIZE_EDGES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

impl Metric {
    /// Declares an exact number of things, which adds up.
    const fn count(
        name: &'static str,
        label: &'static str,
        attribution: Attribution,
        description: &'static str,
    ) -> Self {
        Self {
            name,
            label,
            description,
            unit: Unit::Count,
            statistics: COUNT,
            attribution,
            additive: true,
            exact: true,
            error_bound: None,
            group_by: BY_AGENT_AND_SOURCE,
            histogram_edges: &[],
        }
    }

    /// Declares an exact number of different things.
    const fn distinct(
        name: &'static str,
        label: &'static str,
        group_by: &'static [Dimension],
        description: &'static str,
    ) -> Self {
        Self {
            statistics: DISTINCT,
            additive: false,
            group_by,
            ..Self::count(name, label, Attribution::EachEvent, description)
        }
    }

    /// Declares a share of the sessions that started.
    const fn ratio(name: &'static str, label: &'static str, description: &'static str) -> Self {
        Self {
            unit: Unit::Ratio,
            statistics: RATIO,
            additive: false,
            ..Self::count(name, label, Attribution::SessionStart, description)
        }
    }

    /// Declares a value of each session or message.
    const fn spread(
        name: &'static str,
        label: &'static str,
        unit: Unit,
        attribution: Attribution,
        histogram_edges: &'static [f64],
        description: &'static str,
    ) -> Self {
        Self {
            unit,
            statistics: SPREAD,
            additive: false,
            histogram_edges,
            ..Self::count(name, label, attribution, description)
        }
    }

    /// Returns `true` if the figure of the whole can be computed from those of its parts: counts
    /// are added, and a ratio is computed from added numerators and denominators.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        self.additive || self.unit == Unit::Ratio
    }

    /// Returns the metric with this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }
}

/// All metrics.
pub static METRICS: [Metric; 22] = [
    Metric::count("sessions", "Sessions", Attribution::SessionStart, "Sessions that started."),
    Metric::count(
        "visits",
        "Visits",
        Attribution::VisitStart,
        "Visits that started. A silence longer than the visit gap splits a session into visits.",
    ),
    Metric::distinct(
        "active_sessions",
        "Active sessions",
        BY_AGENT_AND_SOURCE,
        "Sessions with at least one event: a join, a message or a session end.",
    ),
    Metric {
        statistics: &[Stat::Max],
        additive: false,
        ..Metric::count(
            "concurrent_sessions",
            "Concurrent sessions",
            Attribution::EachInstant,
            "Largest number of sessions at one instant. A session counts from its start to its \
             last activity, both included.",
        )
    },
    Metric::count(
        "engaged_sessions",
        "Engaged sessions",
        Attribution::SessionStart,
        "Sessions with at least one user message.",
    ),
    Metric::ratio("engagement_rate", "Engagement rate", "Engaged sessions divided by sessions."),
    Metric::count(
        "silent_sessions",
        "Silent sessions",
        Attribution::SessionStart,
        "Sessions with a join or an assistant message, and without any user message: a dead \
         microphone, or somebody who walks past.",
    ),
    Metric::ratio("silent_rate", "Silent rate", "Silent sessions divided by sessions."),
    Metric::count(
        "single_turn_sessions",
        "Single-turn sessions",
        Attribution::SessionStart,
        "Sessions with exactly one user turn.",
    ),
    Metric::ratio(
        "single_turn_rate",
        "Single-turn rate",
        "Single-turn sessions divided by sessions.",
    ),
    Metric {
        group_by: &[Dimension::Agent, Dimension::Source, Dimension::Role],
        ..Metric::count("messages", "Messages", Attribution::MessageTime, "Messages of any role.")
    },
    Metric::count(
        "user_messages",
        "User messages",
        Attribution::MessageTime,
        "Messages of the user.",
    ),
    Metric::count(
        "assistant_messages",
        "Assistant messages",
        Attribution::MessageTime,
        "Messages of the assistant.",
    ),
    Metric::count(
        "turns",
        "Turns",
        Attribution::TurnStart,
        "User turns: unbroken runs of user messages within a visit. A message of any other role \
         ends a turn.",
    ),
    Metric::spread(
        "session_duration",
        "Session duration",
        Unit::Seconds,
        Attribution::SessionStart,
        DURATION_EDGES,
        "Time from a session's start to its last activity.",
    ),
    Metric::spread(
        "messages_per_session",
        "Messages per session",
        Unit::Count,
        Attribution::SessionStart,
        SIZE_EDGES,
        "Messages of each session. A session without messages counts as 0.",
    ),
    Metric::spread(
        "turns_per_session",
        "Turns per session",
        Unit::Count,
        Attribution::SessionStart,
        SIZE_EDGES,
        "User turns of each session. A session without turns counts as 0.",
    ),
    // Percentiles of millions of replies are computed from bins; the average is exact.
    Metric {
        exact: false,
        error_bound: Some(0.01),
        ..Metric::spread(
            "reply_gap",
            "Reply gap",
            Unit::Seconds,
            Attribution::Reply,
            GAP_EDGES,
            "Time from a user message to the assistant message right after it in the same visit. It \
             includes speaking time, since a message arrives when it is finished.",
        )
    },
    Metric::spread(
        "first_reply_gap",
        "First reply gap",
        Unit::Seconds,
        Attribution::SessionStart,
        GAP_EDGES,
        "First reply gap of each session. Sessions without a reply are left out.",
    ),
    Metric::spread(
        "longest_silence",
        "Longest silence",
        Unit::Seconds,
        Attribution::SessionStart,
        GAP_EDGES,
        "Longest gap between two messages of one visit. Sessions without such a gap are left out.",
    ),
    Metric {
        group_by: &[Dimension::Agent, Dimension::Source, Dimension::Flag],
        ..Metric::count(
            "incomplete_sessions",
            "Incomplete sessions",
            Attribution::SessionStart,
            "Sessions of which something may be missing. By flag: sessions with that flag, also \
             where it only doubts the order.",
        )
    },
    Metric::distinct(
        "agents",
        "Agents",
        &[Dimension::Source],
        "Agents with at least one event: a join, a message or a session end.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_texts_are_whole() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in &METRICS {
            assert_eq!(Metric::find(metric.name), Some(metric));
            assert!(metric.description.ends_with('.') && !metric.description.contains("  "));
            assert!(!metric.label.is_empty());
        }
        assert_eq!(Metric::find("no such metric"), None);
    }

    #[test]
    fn declarations_are_consistent() {
        for metric in &METRICS {
            let Metric { name, statistics, .. } = metric;
            assert!(!statistics.is_empty(), "{name}");
            assert_eq!(metric.exact, metric.error_bound.is_none(), "{name}");
            assert_eq!(metric.additive, *statistics == COUNT, "only counts add up: {name}");
            assert_eq!(metric.unit == Unit::Ratio, *statistics == RATIO, "{name}");
            let edges = metric.histogram_edges;
            assert_eq!(edges.is_empty(), *statistics != SPREAD, "{name}");
            assert!(edges.is_sorted_by(|one, next| one < next), "{name}");
            assert!(edges.first().is_none_or(|first| *first == 0.0), "no value is lower: {name}");
            if metric.unit == Unit::Ratio {
                let base = name.strip_suffix("_rate").unwrap();
                let base = if base == "engagement" { "engaged" } else { base };
                assert!(Metric::find(&format!("{base}_sessions")).is_some(), "{name}");
            }
        }
    }
}
