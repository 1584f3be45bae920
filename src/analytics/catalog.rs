//! Catalogue of the metrics: the single declaration of each metric's name, unit, statistics,
//! attribution, groups and histogram edges.

use super::metric::BY_AGENT_AND_SOURCE;
pub use super::metric::{Attribution, Dimension, Metric, Stat, Unit};

/// From a pause for breath to a minute.
const GAP_EDGES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0];
/// From a passer-by to an hour.
const DURATION_EDGES: &[f64] =
    &[0.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0];
/// From no message to a hundred.
const SIZE_EDGES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0];

impl Metric {
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
    use crate::analytics::metric::{COUNT, RATIO, SPREAD};

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
