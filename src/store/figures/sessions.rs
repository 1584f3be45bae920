//! Sessions of a range, read once for all figures that need individual sessions. They are stored in
//! columns: an answer may be computed from millions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::{Cells, Selection, Snapshot, Split, Spread, Value};
use crate::store::StoreError;

/// Duration above which a session is marked as long. A session that began earlier than this before
/// a range and reaches into it has the mark.
const LONG: TimeDelta = TimeDelta::days(1);

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
    fn lasting(&self) -> bool {
        self.events || self.activity
    }
}

/// Column of times; `None` if a session has none.
type Times = Vec<Option<DateTime<Utc>>>;

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
    values: HashMap<Value, Vec<Option<i64>>>,
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

/// Sessions for a selection. Some may be outside its range, or of other agents or sources.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<Arc<Vec<Sessions>>>);

impl Found {
    /// Returns the sessions of the selected agents and sources.
    pub(super) fn of<'a>(
        &'a self,
        selection: &'a Selection<'_>,
    ) -> impl Iterator<Item = &'a Sessions> {
        let all = self.0.iter().flat_map(|some| some.iter());
        all.filter(|some| selection.includes(&some.agent_id, &some.source))
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
    /// Reads the sessions that started in the range of a selection and, for events and activity,
    /// those that reach into it. Uses cached whole days that have not changed.
    pub(super) async fn sessions(
        &mut self,
        columns: &Columns,
        selection: &Selection<'_>,
    ) -> Result<Found, StoreError> {
        let lasting = columns.lasting();
        let from = if lasting {
            selection.from().checked_sub_signed(LONG).unwrap_or(DateTime::<Utc>::MIN_UTC)
        } else {
            selection.from()
        };
        let range = Started { from, to: selection.to, lasting };
        let mut found = Found::default();
        let (mut before, mut after) = (range, None);
        if let Some(days) = self.cached_days(&range, selection).await? {
            before.to = days.from;
            after = Some(Started { from: days.to, to: range.to, lasting: false });
            found.0.extend(days.sessions);
        }
        for edge in [Some(before), after].into_iter().flatten() {
            if edge.from < edge.to || edge.lasting {
                found.0.push(Arc::new(self.read_sessions(columns, selection, edge).await?));
            }
        }
        Ok(found)
    }

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

/// Computes the spread of a value over sessions that started in the range.
pub(super) fn spread_of_sessions(
    sessions: &Found,
    value: Value,
    selection: &Selection<'_>,
) -> Cells<Spread> {
    let mut found: HashMap<Option<&str>, BTreeMap<usize, Vec<i64>>> = HashMap::new();
    for some in sessions.of(selection) {
        let Some(values) = some.values.get(&value) else { continue };
        let buckets = found.entry(some.group(selection)).or_default();
        for (started_at, value) in some.started_at.iter().zip(values) {
            if let Some((bucket, value)) = selection.bucket(*started_at).zip(*value) {
                buckets.entry(bucket).or_default().push(value);
            }
        }
    }
    let cells = found.into_iter().flat_map(|(group, buckets)| {
        buckets.into_iter().filter_map(move |(bucket, values)| {
            Some(((bucket, group.map(str::to_owned)), Spread::of(values)?))
        })
    });
    cells.collect()
}
