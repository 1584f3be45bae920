//! Reads sessions from the database into columns.

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::session_columns::{Sessions, Times};
use super::{Selection, Snapshot, Value};
use crate::store::StoreError;

/// Columns to read of each session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    /// Values of sessions that started in the range.
    pub(super) values: Vec<Value>,
    /// IDs, and times of the first and last event.
    pub(super) events: bool,
    /// Time of the last activity.
    pub(super) activity: bool,
}

impl Columns {
    /// Returns all columns.
    pub(super) fn all() -> Self {
        Self { values: Value::OF_SESSIONS.to_vec(), events: true, activity: true }
    }

    /// Returns true if sessions that started before a range and reach into it are needed.
    pub(super) fn lasting(&self) -> bool {
        self.events || self.activity
    }
}

/// Sessions to read: those that started between two times and, if `lasting`, those that started
/// before and reach into the range of the selection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) lasting: bool,
}

impl Snapshot {
    /// Reads sessions of the agents, sources and rooms of a selection.
    pub(super) async fn read_sessions(
        &mut self,
        columns: &Columns,
        selection: &Selection<'_>,
        started: Started,
    ) -> Result<Vec<Sessions>, StoreError> {
        let wants = |value| columns.values.contains(&value);
        let mut rows = sqlx::query_as!(
            Row,
            r#"SELECT
                 agent_id,
                 source,
                 array_agg(started_at) AS "started_at!",
                 array_agg(last_activity_at) FILTER (WHERE $9) AS last_activity_at,
                 array_agg(session_id) FILTER (WHERE $8) AS ids,
                 array_agg(first_event_at) FILTER (WHERE $8)
                     AS "first_event_at: Times",
                 array_agg(last_event_at) FILTER (WHERE $8)
                     AS "last_event_at: Times",
                 array_agg(duration_us) FILTER (WHERE $10)
                     AS "duration_us: Vec<Option<i64>>",
                 array_agg(messages) FILTER (WHERE $11) AS "messages: Vec<Option<i64>>",
                 array_agg(turns) FILTER (WHERE $12) AS "turns: Vec<Option<i64>>",
                 array_agg(first_reply_gap_us) FILTER (WHERE $13)
                     AS "first_reply_gap_us: Vec<Option<i64>>",
                 array_agg(longest_silence_us) FILTER (WHERE $14)
                     AS "longest_silence_us: Vec<Option<i64>>"
             FROM session_facts
             WHERE (started_at >= $1 OR is_long AND $7)
                 AND started_at < $2
                 AND (started_at >= $15 OR GREATEST(last_activity_at, last_event_at) >= $15)
                 AND ($3::text[] IS NULL OR agent_id = ANY ($3))
                 AND ($4::text[] IS NULL OR agent_id = ANY ($4))
                 AND ($5::text[] IS NULL OR source = ANY ($5))
                 AND ($6::text[] IS NULL OR room_name = ANY ($6))
             GROUP BY agent_id, source"#,
            started.from,
            started.to,
            selection.visible as _,
            selection.agents as _,
            selection.sources as _,
            selection.rooms as _,
            started.lasting,
            columns.events,
            columns.activity,
            wants(Value::SessionDuration),
            wants(Value::Messages),
            wants(Value::Turns),
            wants(Value::FirstReplyGap),
            wants(Value::LongestSilence),
            selection.from(),
        )
        .fetch(&mut *self.transaction);
        let mut all = Vec::new();
        while let Some(row) = rows.try_next().await? {
            all.push(row.into_sessions());
        }
        Ok(all)
    }
}

/// Sessions of one agent and source, as read. Columns that were not requested are null.
struct Row {
    agent_id: String,
    source: String,
    started_at: Vec<DateTime<Utc>>,
    last_activity_at: Option<Vec<DateTime<Utc>>>,
    ids: Option<Vec<Uuid>>,
    first_event_at: Option<Times>,
    last_event_at: Option<Times>,
    duration_us: Option<Vec<Option<i64>>>,
    messages: Option<Vec<Option<i64>>>,
    turns: Option<Vec<Option<i64>>>,
    first_reply_gap_us: Option<Vec<Option<i64>>>,
    longest_silence_us: Option<Vec<Option<i64>>>,
}

impl Row {
    fn into_sessions(self) -> Sessions {
        let values = [
            (Value::SessionDuration, self.duration_us),
            (Value::Messages, self.messages),
            (Value::Turns, self.turns),
            (Value::FirstReplyGap, self.first_reply_gap_us),
            (Value::LongestSilence, self.longest_silence_us),
        ];
        let values = values.into_iter().filter_map(|(of, column)| Some((of, column?)));
        Sessions {
            agent_id: self.agent_id,
            source: self.source,
            started_at: self.started_at,
            last_activity_at: self.last_activity_at.unwrap_or_default(),
            ids: self.ids.unwrap_or_default(),
            first_event_at: self.first_event_at.unwrap_or_default(),
            last_event_at: self.last_event_at.unwrap_or_default(),
            values: values.collect(),
        }
    }
}
