//! Words of queries for metrics.

use chrono::Weekday;

use crate::analytics::calendar::Bucket;
use crate::analytics::catalog::{METRICS, Metric, Stat};
use crate::analytics::range::{Comparison, Period};
use crate::api::query::words::{OneOf, Word};
use crate::store::figures::{Grouping, Split, TopBy};

/// Name of a metric.
pub(super) type MetricWord = OneOf<&'static Metric>;
/// Name of a statistic.
pub(super) type StatWord = OneOf<Stat>;
/// Name of a period.
pub(super) type PeriodWord = OneOf<Period>;
/// Name of a comparison; `none` is no comparison.
pub(super) type ComparisonWord = OneOf<Option<Comparison>>;
/// Name of a bucket; `auto` is no choice.
pub(super) type BucketWord = OneOf<Option<Bucket>>;
/// Name of a weekday.
pub(super) type WeekdayWord = OneOf<Weekday>;
/// Name of a grouping.
pub(super) type GroupingWord = OneOf<Grouping>;
/// Name of the groups of a top list.
pub(super) type TopWord = OneOf<TopBy>;
/// Name of a format.
pub(super) type FormatWord = OneOf<Format>;

/// Format of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// The whole answer.
    #[default]
    Json,
    /// Only its rows.
    Csv,
}

impl Format {
    /// Returns true where a query asks for CSV.
    pub(super) fn is_csv(word: Option<FormatWord>) -> bool {
        word.is_some_and(|OneOf(format)| format == Self::Csv)
    }
}

impl Word for Format {
    fn all() -> Vec<Self> {
        vec![Self::Json, Self::Csv]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}

impl Word for &'static Metric {
    fn all() -> Vec<Self> {
        METRICS.iter().collect()
    }

    fn word(self) -> &'static str {
        self.name
    }
}

impl Word for Stat {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for Period {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for Option<Comparison> {
    fn all() -> Vec<Self> {
        [None].into_iter().chain(Comparison::ALL.map(Some)).collect()
    }

    fn word(self) -> &'static str {
        self.map_or("none", Comparison::as_str)
    }
}

impl Word for Option<Bucket> {
    fn all() -> Vec<Self> {
        [None].into_iter().chain(Bucket::ALL.map(Some)).collect()
    }

    fn word(self) -> &'static str {
        self.map_or("auto", Bucket::as_str)
    }
}

impl Word for Weekday {
    fn all() -> Vec<Self> {
        vec![Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun]
    }

    fn word(self) -> &'static str {
        match self {
            Self::Mon => "monday",
            Self::Tue => "tuesday",
            Self::Wed => "wednesday",
            Self::Thu => "thursday",
            Self::Fri => "friday",
            Self::Sat => "saturday",
            Self::Sun => "sunday",
        }
    }
}

impl Word for Grouping {
    fn all() -> Vec<Self> {
        Self::ALL.to_vec()
    }

    fn word(self) -> &'static str {
        self.as_str()
    }
}

impl Word for TopBy {
    fn all() -> Vec<Self> {
        let facts = [Split::Agent, Split::Source].map(|split| Self::Facts(Grouping::By(split)));
        facts.into_iter().chain([Self::Room, Self::FirstMessage]).collect()
    }

    fn word(self) -> &'static str {
        match self {
            Self::Facts(grouping) => grouping.as_str(),
            Self::Room => "room",
            Self::FirstMessage => "first_message",
        }
    }
}
