//! Spreads: count, sum, percentiles and maximum of a value of sessions or messages.

/// Value whose spread is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Time from a session's start to its last activity, in microseconds.
    SessionDuration,
    /// Number of messages of a session.
    Messages,
    /// Number of user turns of a session.
    Turns,
    /// First reply gap of a session, in microseconds.
    FirstReplyGap,
    /// Longest silence of a session, in microseconds.
    LongestSilence,
    /// Reply gap of a message, in microseconds.
    ReplyGap,
}

/// Spread of some values. For reply gaps only `count` and `sum` are exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Number of values.
    pub count: i64,
    /// Sum of the values.
    pub sum: i64,
    /// Median, 90th and 99th percentile, interpolated linearly.
    pub percentiles: [f64; 3],
    /// Largest value.
    pub max: i64,
}

impl Value {
    /// Values of sessions.
    pub(super) const OF_SESSIONS: [Self; 5] = [
        Self::SessionDuration,
        Self::Messages,
        Self::Turns,
        Self::FirstReplyGap,
        Self::LongestSilence,
    ];

    /// Returns the metric's name for the SQL function `session_value`; `None` for a value of
    /// messages.
    pub(super) fn of_session(self) -> Option<&'static str> {
        match self {
            Self::SessionDuration => Some("session_duration"),
            Self::Messages => Some("messages_per_session"),
            Self::Turns => Some("turns_per_session"),
            Self::FirstReplyGap => Some("first_reply_gap"),
            Self::LongestSilence => Some("longest_silence"),
            Self::ReplyGap => None,
        }
    }
}

impl Spread {
    /// Computes the spread of values; `None` without values. Percentiles are computed like
    /// PostgreSQL's `percentile_cont`.
    pub(super) fn of(mut values: Vec<i64>) -> Option<Self> {
        values.sort_unstable();
        let max = *values.last()?;
        let percentiles = [0.5, 0.9, 0.99].map(|fraction| interpolated(&values, fraction));
        Some(Self {
            count: i64::try_from(values.len()).unwrap_or(i64::MAX),
            sum: values.iter().sum(),
            percentiles,
            max,
        })
    }
}

/// Returns a percentile of sorted values, interpolated linearly between neighbours.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ranks are below 2^53 and not negative"
)]
fn interpolated(values: &[i64], fraction: f64) -> f64 {
    let rank = fraction * values.len().saturating_sub(1) as f64;
    let value = |rank: f64| values.get(rank as usize).map_or(0.0, |value| *value as f64);
    let low = value(rank.floor());
    low + (value(rank.ceil()) - low) * (rank - rank.floor())
}

pub(super) fn three(percentiles: &[f64]) -> [f64; 3] {
    let one = |place: usize| percentiles.get(place).copied().unwrap_or_default();
    [one(0), one(1), one(2)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated_between_neighbours() {
        assert_eq!(Spread::of(Vec::new()), None);
        let spread = Spread::of(vec![40, 10, 20, 30]).unwrap();
        assert_eq!((spread.count, spread.sum, spread.max), (4, 100, 40));
        let expected = [25.0, 37.0, 39.7];
        for (percentile, expected) in spread.percentiles.iter().zip(expected) {
            assert!((percentile - expected).abs() < 1e-9, "{percentile}");
        }
    }
}
