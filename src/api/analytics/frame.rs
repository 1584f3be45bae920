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
use crate::problem::Problem;
use crate::store::figures::{Grouping, Selection, Snapshot};
use crate::store::keys::Scope;

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
        Ok((Self { calendar, range, now, query, caller: caller.clone() }, own))
    }

    /// Begins to read figures, and returns what the answer begins with.
    pub(super) async fn open(&self, state: &ApiState) -> Result<(Snapshot, Header), Problem> {
        let mut snapshot = state.store.figures().await?;
        let at = state.servers.complete_at(self.now);
        let complete_until = snapshot.complete_until(self.caller.agents(), at).await?;
        let header = Header {
            from: Timestamp(self.range.span.from),
            to: Timestamp(self.range.span.to),
            tz: self.calendar.zone.name(),
            as_of: Timestamp(self.now),
            complete_until: complete_until.map(Timestamp),
        };
        Ok((snapshot, header))
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
            now: self.now,
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
