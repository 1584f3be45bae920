//! Parameters that every request for figures has: range, zone and filters.

use crate::api::query::read::read;
use actix_web::{HttpRequest, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::request;
use super::request::Range;
use crate::analytics::calendar::Calendar;
use crate::api::query::read::And;
use crate::api::query::zone::Zone;
use crate::api::resources::analytics::words::{PeriodWord, WeekdayWord};
use crate::api::views::analytics::Header;
use crate::api::views::timestamp::Timestamp;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::store::figures::{Grouping, Selection, Snapshot};
use crate::store::keys::Scope;

/// Range, zone and filters of figures.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FrameQuery {
    /// Start of the range: a local date, RFC 3339 or Unix seconds.
    #[param(example = "2026-09-28T00:00:00.000000Z")]
    from: Option<String>,
    /// End of the range, which is not part of it; now where it is left out.
    #[param(example = "2026-09-28T00:00:00.000000Z")]
    to: Option<String>,
    /// Range by its name, in place of `from` and `to`; `last_7d` where nothing is given.
    #[param(inline, example = "last_7d")]
    period: Option<PeriodWord>,
    /// Time zone of dates, buckets and periods, by its name in the IANA's list; UTC where it is left
    /// out.
    #[param(value_type = Option<String>, example = "Europe/Berlin")]
    tz: Option<Zone>,
    /// First day of a week; `monday` where it is left out.
    #[param(inline, example = "monday")]
    week_starts: Option<WeekdayWord>,
    /// Only these agents.
    #[param(example = json!(["A80HVD8577"]))]
    #[serde(default)]
    agent_id: Vec<String>,
    /// Only these sources.
    #[param(example = json!(["default"]))]
    #[serde(default)]
    source: Vec<String>,
    /// Only sessions in these rooms.
    #[param(example = json!(["room-5f3c1a"]))]
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
        let And(query, own): And<FrameQuery, T> = read(req)?;
        let now = state.clock.now();
        let calendar = request::calendar(query.tz, query.week_starts);
        let (from, to) = (query.from.as_deref(), query.to.as_deref());
        let range = request::range(calendar, from, to, query.period, now)?;
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
