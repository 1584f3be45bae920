//! Windows of time within a session in which facts are computed anew.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::sessions::Sessions;
use crate::store::{AFTER_ALL, BEFORE_ALL};

/// Touched times of a session that lie further apart get a window each, so that a late message does
/// not cost all that was said since.
const APART: TimeDelta = TimeDelta::hours(1);

/// What was touched in a session.
#[derive(Debug, Default)]
pub(super) struct Touched {
    times: BTreeSet<DateTime<Utc>>,
    messages: BTreeSet<Uuid>,
    /// Everything before this is gone.
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

    /// Ids of the messages that were named.
    pub(super) fn ids(&self) -> impl Iterator<Item = Uuid> {
        self.messages.iter().copied()
    }

    /// First and last touched times, by windows.
    fn spans(&self) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
        let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
        spans.extend(self.beginning.map(|before| (BEFORE_ALL, before)));
        for at in &self.times {
            match spans.last_mut() {
                Some((_, last)) if *at <= *last => {}
                Some((_, last)) if *at - *last <= APART => *last = *at,
                _ => spans.push((*at, *at)),
            }
        }
        spans
    }
}

/// Windows of all sessions, side by side.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pub(super) sessions: Vec<Uuid>,
    /// First touched times.
    pub(super) from: Vec<DateTime<Utc>>,
    /// Last touched times; the messages right after them belong to the windows, too.
    pub(super) to: Vec<DateTime<Utc>>,
    /// No message of the session is earlier.
    pub(super) first: Vec<DateTime<Utc>>,
    /// No message of the session is later.
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

    /// One window a session, which holds all of it.
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
    fn times_that_lie_far_apart_have_windows_of_their_own() {
        let at = |minutes: i64| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        let mut touched = Touched::default();
        for minutes in [300, 0, 61, 59, 121] {
            touched.add_time(at(minutes));
        }
        let expected = [(at(0), at(121)), (at(300), at(300))];
        assert_eq!(touched.spans(), expected);
        touched.add_beginning(at(30));
        touched.add_beginning(at(20));
        assert_eq!(touched.spans()[0], (BEFORE_ALL, at(121)), "what touches it is one with it");
        touched.add_beginning(at(250));
        assert_eq!(touched.spans(), [(BEFORE_ALL, at(300))]);
        touched.add_beginning(at(400));
        assert_eq!(touched.spans(), [(BEFORE_ALL, at(400))]);
    }
}
