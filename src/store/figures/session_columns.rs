//! Columns of sessions in memory.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Selection, Split, Value};

/// Column of times; `None` if a session has none.
pub(super) type Times = Vec<Option<DateTime<Utc>>>;

/// Sessions of one agent and source. Entry n of each column belongs to session n.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) agent_id: String,
    pub(super) source: String,
    pub(super) started_at: Vec<DateTime<Utc>>,
    /// Empty if it was not read, like the columns below.
    pub(super) last_activity_at: Vec<DateTime<Utc>>,
    pub(super) ids: Vec<Uuid>,
    pub(super) first_event_at: Times,
    pub(super) last_event_at: Times,
    pub(super) values: HashMap<Value, Vec<Option<i64>>>,
}

impl Sessions {
    /// Returns sessions with only their starts.
    #[cfg(test)]
    pub(super) fn started(started_at: Vec<DateTime<Utc>>) -> Self {
        Self {
            agent_id: String::new(),
            source: String::new(),
            started_at,
            last_activity_at: Vec::new(),
            ids: Vec::new(),
            first_event_at: Vec::new(),
            last_event_at: Vec::new(),
            values: HashMap::new(),
        }
    }

    /// Returns the group in which the sessions are counted.
    pub(super) fn group(&self, selection: &Selection<'_>) -> Option<&str> {
        match selection.split {
            Some(Split::Agent) => Some(&self.agent_id),
            Some(Split::Source) => Some(&self.source),
            Some(Split::Role) | None => None,
        }
    }
}
