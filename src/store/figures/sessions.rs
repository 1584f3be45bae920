//! Sessions of a range, read once for all figures that need individual sessions. They are stored in
//! columns: an answer may be computed from millions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::session_columns::Sessions;
use super::session_rows::{Columns, Started};
use super::{Cells, Selection, Snapshot, Spread, Value};
use crate::store::StoreError;

/// Duration above which a session is marked as long. A session that began earlier than this before
/// a range and reaches into it has the mark.
const LONG: TimeDelta = TimeDelta::days(1);

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
