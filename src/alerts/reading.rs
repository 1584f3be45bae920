//! Readings: the value of a rule's metric at a time, and the normal value.

use std::fmt;

/// Value of a rule's metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Value, in the metric's unit.
    pub value: f64,
    /// Normal value; `None` if the rule does not compare with one.
    pub normal: Option<f64>,
}

/// Reading, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// Reading.
    Reading(Reading),
    /// No reading, so that the state does not change.
    Missing(Missing),
}

/// Reason why a rule cannot be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Too few earlier weeks have data.
    Weeks {
        /// Weeks that have data.
        found: u32,
        /// Weeks that are needed.
        needed: u32,
    },
    /// No data for the value: without replies there is no reply gap.
    Nothing,
    /// Figures do not yet reflect what has arrived.
    Behind,
    /// No event has arrived yet, of these agents or at all.
    NeverSeen,
    /// The value would be computed from too many messages or sessions.
    TooExpensive,
    /// The database does not answer.
    Database,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weeks { found, needed } => {
                write!(f, "{found} of {needed} earlier weeks have data")
            }
            Self::Nothing => f.write_str("there is nothing to compute the value from"),
            Self::Behind => f.write_str("figures do not yet reflect what has arrived"),
            Self::NeverSeen => f.write_str("no event has arrived yet"),
            Self::TooExpensive => f.write_str("the window holds too many messages or sessions"),
            Self::Database => f.write_str("the database did not answer"),
        }
    }
}

/// Returns the median; `None` if there are no values.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*values.get(middle - 1)?, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_is_between_the_middle_values() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![7.0]), Some(7.0));
        assert_eq!(median(vec![9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(median(vec![9.0, 1.0, 4.0, 6.0]), Some(5.0));
    }
}
