//! Histograms: edges, and the bins between them.

use super::catalog::{Metric, Unit};

/// Most edges of a histogram: more than a chart shows.
pub const MAX_EDGES: usize = 100;
/// Largest edge: above all values, and exact as a float in microseconds.
const LARGEST_EDGE: f64 = 1e9;
const MICROS: f64 = 1e6;

/// Edges of a histogram, in ascending order.
#[derive(Clone, Debug, PartialEq)]
pub struct Edges {
    unit: Unit,
    edges: Vec<f64>,
}

/// Bin of a histogram: values from `lower` on and below `upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Number of edges up to its lower one.
    pub number: usize,
    /// Lower edge; `None` below the first edge.
    pub lower: Option<f64>,
    /// Upper edge; `None` above the last edge.
    pub upper: Option<f64>,
}

impl Edges {
    /// Returns the edges of the catalogue, which are empty if the metric has no histogram.
    #[must_use]
    pub fn of(metric: &Metric) -> Self {
        Self { unit: metric.unit, edges: metric.histogram_edges.to_vec() }
    }

    /// Parses comma-separated edges: up to [`MAX_EDGES`] ascending numbers from 0 to a billion.
    /// Seconds are rounded to microseconds.
    #[must_use]
    pub fn parse(unit: Unit, text: &str) -> Option<Self> {
        let edge = |text: &str| {
            let edge: f64 = text.trim().parse().ok()?;
            // Turn a negative zero into a zero.
            let edge = edge + 0.0;
            let rounded =
                if unit == Unit::Seconds { (edge * MICROS).round() / MICROS } else { edge };
            (0.0..=LARGEST_EDGE).contains(&edge).then_some(rounded)
        };
        let texts = text.split(',').take(MAX_EDGES + 1);
        let edges = texts.map(edge).collect::<Option<Vec<_>>>()?;
        let ascending = edges.is_sorted_by(|one, next| one < next);
        (ascending && edges.len() <= MAX_EDGES).then_some(Self { unit, edges })
    }

    /// Returns the edges in the unit of stored values: microseconds or counts.
    #[must_use]
    pub fn stored(&self) -> Vec<f64> {
        let scaled =
            |edge: &f64| if self.unit == Unit::Seconds { (edge * MICROS).round() } else { *edge };
        self.edges.iter().map(scaled).collect()
    }

    /// Returns the bins in order. There is none below a first edge of 0: no value is negative.
    #[must_use]
    pub fn bins(&self) -> Vec<Bin> {
        let edge = |number: usize| self.edges.get(number).copied();
        let first = usize::from(edge(0) == Some(0.0));
        (first..=self.edges.len())
            .map(|number| Bin {
                number,
                lower: number.checked_sub(1).and_then(edge),
                upper: edge(number),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(edges: &Edges) -> Vec<(usize, Option<f64>, Option<f64>)> {
        edges.bins().iter().map(|bin| (bin.number, bin.lower, bin.upper)).collect()
    }

    #[test]
    fn bins_cover_all_values() {
        let from_zero = Edges::parse(Unit::Count, "0, 2.5,1e3").unwrap();
        assert_eq!(
            bounds(&from_zero),
            [(1, Some(0.0), Some(2.5)), (2, Some(2.5), Some(1e3)), (3, Some(1e3), None)]
        );
        let above = Edges::parse(Unit::Count, "5").unwrap();
        assert_eq!(bounds(&above), [(0, None, Some(5.0)), (1, Some(5.0), None)]);
    }

    #[test]
    fn seconds_are_whole_microseconds() {
        let edges = Edges::parse(Unit::Seconds, "0.1,1.1,8.2000004").unwrap();
        assert_eq!(edges.stored(), [100_000.0, 1_100_000.0, 8_200_000.0]);
        assert_eq!(edges.bins()[3].lower, Some(8.2));
        assert_eq!(Edges::parse(Unit::Count, "2.5").unwrap().stored(), [2.5]);
    }

    #[test]
    fn edges_that_are_not_ascending_numbers_are_rejected() {
        let many: Vec<_> = (0..=MAX_EDGES).map(|edge| edge.to_string()).collect();
        assert!(Edges::parse(Unit::Count, &many[1..].join(",")).is_some());
        for text in
            ["", "a", "1,", "1,1", "2,1", "-1", "NaN", "inf", "1e10", "0,1;2", &many.join(",")]
        {
            assert_eq!(Edges::parse(Unit::Count, text), None, "{text}");
        }
        assert_eq!(Edges::parse(Unit::Seconds, "1,1.0000001"), None, "one microsecond");
        assert!(
            Edges::parse(Unit::Count, "-0").unwrap().bins()[0].lower.unwrap().is_sign_positive()
        );
    }
}
