//! Attributes of a metric: unit, statistics, attribution and groups.

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
    #[schema(example = json!(null))]
    pub error_bound: Option<f64>,
    /// Dimensions by which it can be split.
    pub group_by: &'static [Dimension],
    /// Lower edges of its histogram's bins, the last of which has no upper edge; empty if it has no
    /// histogram.
    #[schema(example = json!([0.0, 1.0, 2.0, 5.0]))]
    pub histogram_edges: &'static [f64],
}

pub(super) const COUNT: &[Stat] = &[Stat::Count];
const DISTINCT: &[Stat] = &[Stat::Distinct];
pub(super) const RATIO: &[Stat] = &[Stat::Ratio];
pub(super) const SPREAD: &[Stat] = &[Stat::Avg, Stat::P50, Stat::P90, Stat::P99, Stat::Max];

pub(super) const BY_AGENT_AND_SOURCE: &[Dimension] = &[Dimension::Agent, Dimension::Source];

impl Metric {
    /// Declares an exact number of things, which adds up.
    pub(super) const fn count(
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
    pub(super) const fn distinct(
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
    pub(super) const fn ratio(
        name: &'static str,
        label: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            unit: Unit::Ratio,
            statistics: RATIO,
            additive: false,
            ..Self::count(name, label, Attribution::SessionStart, description)
        }
    }

    /// Declares a value of each session or message.
    pub(super) const fn spread(
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
}
