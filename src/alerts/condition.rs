//! Condition of a rule: a limit, and the side of it on which a value fires.

/// Side of the limit on which a value fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Values above the limit.
    Above,
    /// Values below the limit.
    Below,
}

impl Side {
    /// Name in settings, messages and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// Limit as a multiple of the normal value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relative {
    /// Multiple.
    pub factor: f64,
    /// Earlier weeks whose median is the normal value.
    pub weeks: u32,
}

/// Condition of a rule. If it has an absolute and a relative limit, a value must pass both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Side that fires.
    pub side: Side,
    /// Limit in the metric's unit.
    pub absolute: Option<f64>,
    /// Limit as a multiple of the normal value.
    pub relative: Option<Relative>,
}

impl Condition {
    /// Returns the limit that a value has to pass, given the normal value; `None` if that is needed
    /// and missing.
    #[must_use]
    pub fn limit(&self, normal: Option<f64>) -> Option<f64> {
        let relative = match self.relative {
            Some(relative) => Some(relative.factor * normal?),
            None => None,
        };
        match (self.absolute, relative) {
            (Some(one), Some(other)) if self.side == Side::Above => Some(one.max(other)),
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Returns `true` if a value passes a limit.
    #[must_use]
    pub fn holds(&self, value: f64, limit: f64) -> bool {
        match self.side {
            Side::Above => value > limit,
            Side::Below => value < limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_must_pass_the_absolute_and_the_relative_limit() {
        let relative = Some(Relative { factor: 3.0, weeks: 4 });
        let above = Condition { side: Side::Above, absolute: Some(60.0), relative };
        assert_eq!(above.limit(Some(10.0)), Some(60.0));
        assert_eq!(above.limit(Some(30.0)), Some(90.0));
        assert_eq!(above.limit(None), None);
        let below = Condition { side: Side::Below, ..above };
        assert_eq!(below.limit(Some(10.0)), Some(30.0));
        let absolute = Condition { relative: None, ..above };
        assert_eq!(absolute.limit(None), Some(60.0));
        assert!(above.holds(61.0, 60.0) && !above.holds(60.0, 60.0));
        assert!(below.holds(29.0, 30.0) && !below.holds(30.0, 30.0));
    }
}
