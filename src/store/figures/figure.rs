//! Figures: values of metrics, computed from counts and spreads.

use super::Spread;
use crate::analytics::catalog::{Metric, Stat, Unit};

/// Metric with one of its statistics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Metric.
    pub metric: &'static Metric,
    /// Statistic, which the metric must have.
    pub stat: Stat,
}

/// Value of a metric in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// Value; `None` without data.
    pub value: Option<Number>,
    /// Numerator and denominator of a ratio.
    pub parts: Option<(i64, i64)>,
}

impl Figure {
    pub(super) fn count(count: i64) -> Self {
        Self { value: Some(Number::Whole(count)), parts: None }
    }

    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    pub(super) fn ratio(numerator: i64, denominator: i64) -> Self {
        let value = numerator as f64 / denominator as f64;
        let value = (denominator != 0).then_some(Number::Real(value));
        Self { value, parts: Some((numerator, denominator)) }
    }

    /// Returns a metric's figure without data.
    #[must_use]
    pub fn of_nothing(metric: &Metric) -> Self {
        match metric.unit {
            Unit::Ratio => Self::ratio(0, 0),
            _ if metric.additive => Self::count(0),
            _ => Self::default(),
        }
    }

    /// Adds the figures of two parts, for a metric that adds up: the sum of counts, or the ratio of
    /// added numerators and denominators. Returns a figure without a value for others.
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
    /// Count.
    Whole(i64),
    /// Other number.
    Real(f64),
}

impl Number {
    /// Converts the number to floating point.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Real(number) => number,
        }
    }
}

/// Returns the figure of values of sessions. For counts and ratios each value is 0 or 1.
pub(super) fn figure_of_values(values: &Spread, wanted: Wanted) -> Figure {
    match wanted.stat {
        Stat::Count => Figure::count(values.sum),
        Stat::Ratio => Figure::ratio(values.sum, values.count),
        _ => Figure { value: Some(statistic(values, wanted)), parts: None },
    }
}

/// Returns a statistic of a spread, in the metric's unit.
#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(super) fn statistic(spread: &Spread, wanted: Wanted) -> Number {
    let [p50, p90, p99] = spread.percentiles;
    match wanted.stat {
        Stat::P50 => scaled(p50, wanted),
        Stat::P90 => scaled(p90, wanted),
        Stat::P99 => scaled(p99, wanted),
        Stat::Max if wanted.metric.unit == Unit::Seconds => scaled(spread.max as f64, wanted),
        Stat::Max => Number::Whole(spread.max),
        Stat::Avg | Stat::Count | Stat::Distinct | Stat::Ratio => {
            average(spread.count, spread.sum, wanted)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53")]
pub(super) fn average(count: i64, sum: i64, wanted: Wanted) -> Number {
    scaled(sum as f64 / count as f64, wanted)
}

/// Converts a stored value to the metric's unit. Durations are stored in microseconds.
fn scaled(value: f64, wanted: Wanted) -> Number {
    const MICROS: f64 = 1e6;
    Number::Real(if wanted.metric.unit == Unit::Seconds { value / MICROS } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::catalog::METRICS;

    #[test]
    fn ratio_without_data_is_null() {
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
