//! Windows of time within a session in which facts are recomputed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::sessions::Sessions;
use crate::store::{AFTER_ALL, BEFORE_ALL};

/// Distance above which touched times of a session get separate windows, so that a late message
/// does not cause a recomputation of everything after it.
const MAX_DISTANCE: TimeDelta = TimeDelta::hours(1);

/// Touched parts of a session.
#[derive(Debug, Default)]
pub(super) struct Touched {
    times: BTreeSet<DateTime<Utc>>,
    messages: BTreeSet<Uuid>,
    /// Time before which everything was deleted.
    beginning: Option<DateTime<Utc>>,
}

impl Touched {
    pub(super) fn add_message(&mut self, at: DateTime<Utc>, id: Uuid) {
        self.times.insert(at);
        self.messages.insert(id);
    }

    pub(super) fn add_time(&mut self, at: DateTime<Utc>) {
        self.times.insert(at);
    }

    pub(super) fn add_beginning(&mut self, before: DateTime<Utc>) {
        self.beginning = self.beginning.max(Some(before));
    }

    /// Returns the IDs of the touched messages.
    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.messages.iter().copied()
    }

    /// Returns the first and last touched time of each window.
    fn spans(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        spans.extend(self.beginning.map(|before| (BEFORE_ALL, before)));
        for at in &self.times {
            match spans.last_mut() {
                Some((_, last)) if *at <= *last => {}
                Some((_, last)) if *at - *last <= MAX_DISTANCE => *last = *at,
                _ => spans.push((*at, *at)),
            }
        }
        spans
    }
}

/// Windows of sessions, in columns.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) sessions: Vec<Uuid>,
    /// First touched time of each window.
    pub(super) from: Vec<DateTime<Utc>>,
    /// Last touched time of each window. The messages right after it belong to the window, too.
    pub(super) to: Vec<DateTime<Utc>>,
    /// Start of the session; none of its messages is earlier.
    pub(super) first: Vec<DateTime<Utc>>,
    /// Last event of the session; none of its messages is later.
    pub(super) last: Vec<DateTime<Utc>>,
}

impl Windows {
    pub(super) fn of(touched: &BTreeMap<Uuid, Touched>, sessions: &Sessions) -> Self {
        let mut windows = Self::default();
        for (id, touched) in touched {
            let Some(session) = sessions.get(id) else { continue };
            for (from, to) in touched.spans() {
                windows.sessions.push(*id);
                windows.from.push(from);
                windows.to.push(to);
                windows.first.push(session.started_at);
                windows.last.push(session.last_event_at);
            }
        }
        windows
    }

    /// Returns one window for each session, which covers all of it.
    pub(super) fn whole(sessions: &Sessions) -> Self {
        Self {
            sessions: sessions.keys().copied().collect(),
            from: vec![BEFORE_ALL; sessions.len()],
            to: vec![AFTER_ALL; sessions.len()],
            first: sessions.values().map(|session| session.started_at).collect(),
            last: sessions.values().map(|session| session.last_event_at).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distant_times_get_separate_windows() {
        let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let mut touched = Touched::default();
        for minutes in [300, 0, 61, 59, 121] {
            touched.add_time(at(minutes));
        }
        let expected = [(at(0), at(121)), (at(300), at(300))];
        assert_eq!(touched.spans(), expected);
        touched.add_beginning(at(30));
        touched.add_beginning(at(20));
        assert_eq!(touched.spans()[0], (BEFORE_ALL, at(121)), "adjacent windows are merged");
        touched.add_beginning(at(250));
        assert_eq!(touched.spans(), [(BEFORE_ALL, at(300))]);
        touched.add_beginning(at(400));
        assert_eq!(touched.spans(), [(BEFORE_ALL, at(400))]);
    }
}
