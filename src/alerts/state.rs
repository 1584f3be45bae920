//! State machine of an alert: ok, pending until the condition has held for long enough, firing.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Status of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The condition does not hold.
    Ok,
    /// The condition holds, but not yet for as long as the rule requires.
    Pending,
    /// The condition has held for long enough, and a notification is sent.
    Firing,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Pending, Self::Firing];

    /// Name in the database and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }

    /// Returns the status with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Status and its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Status.
    pub status: Status,
    /// Time since which the condition has held (pending, firing) or has not held (ok).
    pub since: DateTime<Utc>,
}

/// Change that is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The alert fires.
    Fired,
    /// The alert is over.
    Resolved {
        /// Time since which the condition had held.
        since: DateTime<Utc>,
    },
}

impl State {
    /// Returns the state of an alert that has never been evaluated.
    #[must_use]
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { status: Status::Ok, since: now }
    }

    /// Returns the state after an evaluation, and the change to notify. `hold` is the time for
    /// which the condition must hold before the alert fires.
    #[must_use]
    pub fn advance(
        self,
        holds: bool,
        hold: Duration,
        now: DateTime<Utc>,
    ) -> (Self, Option<Change>) {
        let since = if self.status == Status::Ok { now } else { self.since };
        // If the clock was set back, count it as no time.
        let lasted = (now - since).to_std().unwrap_or_default();
        match (self.status, holds) {
            (Status::Ok, false) | (Status::Firing, true) => (self, None),
            (Status::Pending, false) => (Self::new(now), None),
            (Status::Firing, false) => (Self::new(now), Some(Change::Resolved { since })),
            (Status::Ok | Status::Pending, true) if lasted >= hold => {
                (Self { status: Status::Firing, since }, Some(Change::Fired))
            }
            (Status::Ok | Status::Pending, true) => (Self { status: Status::Pending, since }, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn alert_fires_once_it_has_held_long_enough_and_resolves_once() {
        let hold = Duration::from_mins(1);
        let mut state = State::new(at(0));
        let mut changes = Vec::new();
        for (second, holds) in [
            (15, true),
            (30, false),
            (45, true),
            (90, true),
            (105, true),
            (120, true),
            (135, false),
        ] {
            let (next, change) = state.advance(holds, hold, at(second));
            state = next;
            changes.extend(change.map(|change| (second, change)));
        }
        let resolved = Change::Resolved { since: at(45) };
        assert_eq!(changes, [(105, Change::Fired), (135, resolved)]);
        assert_eq!(state, State::new(at(135)));
    }

    #[test]
    fn alert_without_a_hold_time_fires_at_once() {
        let (state, change) = State::new(at(0)).advance(true, Duration::ZERO, at(15));
        assert_eq!((state.status, state.since), (Status::Firing, at(15)));
        assert_eq!(change, Some(Change::Fired));
    }

    #[test]
    fn clock_that_is_set_back_fires_nothing() {
        let pending = State { status: Status::Pending, since: at(1_000) };
        let (state, change) = pending.advance(true, Duration::from_mins(1), at(0));
        assert_eq!((state, change), (pending, None));
    }

    proptest! {
        #[test]
        fn fired_and_resolved_alternate(
            course in proptest::collection::vec((any::<bool>(), 0_i64..100), 0..60),
            hold in 0_u64..120,
        ) {
            let (mut state, mut now, mut firing) = (State::new(at(0)), 0, false);
            for (holds, seconds) in course {
                now += seconds;
                let (next, change) = state.advance(holds, Duration::from_secs(hold), at(now));
                state = next;
                match change {
                    Some(Change::Fired) => prop_assert!(!std::mem::replace(&mut firing, true)),
                    Some(Change::Resolved { since }) => {
                        prop_assert!(std::mem::replace(&mut firing, false) && since <= at(now));
                    }
                    None => {}
                }
                prop_assert_eq!(state.status == Status::Firing, firing);
            }
        }
    }
}
