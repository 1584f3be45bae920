//! Parameters that every request for figures has: range, zone and filters.

use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::request::{self, Range};
use super::{ApiState, Caller};
use crate::analytics::calendar::Calendar;
use crate::api::query;
use crate::api::timestamp::Timestamp;
use crate::api::views::analytics::Header;
use crate::problem::{Code, Problem};
use crate::store::figures::{Grouping, Selection, Snapshot, Wanted};
use crate::store::keys::Scope;

/// Most facts that one answer is computed from, the others being sums: what PostgreSQL reads within the
/// time that a query may take.
const MOST_FACTS: i64 = 10_000_000;

/// Range, zone and filters of figures.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FrameQuery {
    /// Start of the range: a local date, RFC 3339 or Unix seconds.
    from: Option<String>,
    /// End of the range, which is not part of it; now where it is left out.
    to: Option<String>,
    /// Range by its name, in place of `from` and `to`; `last_7d` where nothing is given.
    period: Option<String>,
    /// Time zone of dates, buckets and periods, by its name in the IANA's list; UTC where it is left
    /// out.
    tz: Option<String>,
    /// First day of a week; `monday` where it is left out.
    week_starts: Option<String>,
    /// Only these agents.
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only these sources.
    #[serde(default)]
    source: Vec<String>,
    /// Only sessions in these rooms.
    #[serde(default)]
    room_name: Vec<String>,
}

/// Frame of an answer: range, zone, filters, time and caller.
pub(super) struct Frame {
    pub(super) calendar: Calendar,
    pub(super) range: Range,
    pub(super) now: DateTime<Utc>,
    query: FrameQuery,
    caller: Caller,
    state: web::Data<ApiState>,
}

impl Frame {
    /// Reads a request's frame, and the parameters that are the route's own. The caller's key must
    /// allow figures.
    pub(super) fn read<T: DeserializeOwned>(
        req: &HttpRequest,
        caller: &Caller,
        state: &web::Data<ApiState>,
    ) -> Result<(Self, T), Problem> {
        caller.require(Scope::Analytics)?;
        let (query, own): (FrameQuery, T) = query::read_both(req)?;
        let now = state.clock.now();
        let calendar = request::calendar(query.tz.as_deref(), query.week_starts.as_deref())?;
        let (from, to) = (query.from.as_deref(), query.to.as_deref());
        let range = request::range(calendar, from, to, query.period.as_deref(), now)?;
        let (caller, state) = (caller.clone(), state.clone());
        Ok((Self { calendar, range, now, query, caller, state }, own))
    }

    /// Begins to read figures, and returns what the answer begins with.
    pub(super) async fn open(&self) -> Result<(Snapshot, Header), Problem> {
        let mut snapshot = self.state.store.figures().await?;
        let complete_until = snapshot.complete_until(self.caller.agents(), self.now).await?;
        let header = Header {
            from: Timestamp(self.range.span.from),
            to: Timestamp(self.range.span.to),
            tz: self.calendar.zone.name(),
            as_of: Timestamp(self.now),
            complete_until: complete_until.map(Timestamp),
        };
        Ok((snapshot, header))
    }

    /// Refuses figures that are computed from more facts than can be read in time. `has_sums` is false
    /// where the answer needs each value.
    pub(super) async fn refuse_dear(
        &self,
        snapshot: &mut Snapshot,
        selection: &Selection<'_>,
        wanted: &[Wanted],
        has_sums: bool,
    ) -> Result<(), Problem> {
        let facts = snapshot.facts_to_read(selection, wanted, has_sums).await?;
        if facts <= MOST_FACTS {
            return Ok(());
        }
        let detail = format!(
            "These figures are computed from each message or session, and the range has {facts} of \
             them; {MOST_FACTS} are read at the most. Choose a shorter range or fewer agents, or \
             metrics that add up, which cost the same over any range."
        );
        Err(Problem::new(Code::InvalidParameter, detail))
    }

    /// Selects what the filters and the caller's key leave, in buckets.
    pub(super) fn select<'a>(
        &'a self,
        starts: &'a [DateTime<Utc>],
        to: DateTime<Utc>,
        grouping: Option<Grouping>,
    ) -> Selection<'a> {
        Selection {
            starts,
            to,
            visible: self.caller.agents(),
            agents: some(&self.query.agent_id),
            sources: some(&self.query.source),
            rooms: some(&self.query.room_name),
            split: grouping.and_then(Grouping::split),
        }
    }
}

/// Values of a parameter that may repeat; `None` where it is not there.
fn some(values: &[String]) -> Option<&[String]> {
    (!values.is_empty()).then_some(values)
}
