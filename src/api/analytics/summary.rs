//! `GET /v1/analytics/summary`: figures over a range, beside those of an earlier one.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use super::figures::{Figure, Figures};
use super::request::{self, Range, Wanted};
use super::{ApiState, Caller, some};
use crate::analytics::calendar::{Calendar, Span};
use crate::analytics::range::Comparison;
use crate::api::answer::Answer;
use crate::api::query;
use crate::api::timestamp::Timestamp;
use crate::api::views::analytics::{Compared, Summary, SummaryFigure};
use crate::problem::Problem;
use crate::store::figures::{Selection, Snapshot};
use crate::store::keys::Scope;

/// What a summary is requested by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// Start of the range: a local date, RFC 3339 or Unix seconds.
    from: Option<String>,
    /// End of the range, which is not part of it; now where it is left out.
    to: Option<String>,
    /// Range by its name, in place of `from` and `to`; `last_7d` where nothing is given.
    period: Option<String>,
    /// Time zone of dates, days and periods, by its name in the IANA's list; UTC where it is left out.
    tz: Option<String>,
    /// First day of a week; `monday` where it is left out.
    week_starts: Option<String>,
    /// Earlier range to compare with; of a range that is not over, the part that has elapsed.
    #[param(example = "previous")]
    compare: Option<String>,
    /// Metrics of the catalogue; all where it is left out.
    #[serde(default)]
    metric: Vec<String>,
    /// Statistic of each metric; all that it has where it is left out.
    stat: Option<String>,
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

/// A summary as it was requested.
struct Plan {
    calendar: Calendar,
    range: Range,
    comparison: Option<Comparison>,
    wanted: Vec<Wanted>,
    query: SummaryQuery,
    now: DateTime<Utc>,
    caller: Caller,
    state: web::Data<ApiState>,
}

impl Plan {
    fn new(
        query: SummaryQuery,
        caller: Caller,
        state: web::Data<ApiState>,
    ) -> Result<Self, Problem> {
        let now = state.clock.now();
        let calendar = request::calendar(query.tz.as_deref(), query.week_starts.as_deref())?;
        let (from, to) = (query.from.as_deref(), query.to.as_deref());
        let range = request::range(calendar, from, to, query.period.as_deref(), now)?;
        let comparison = request::comparison(query.compare.as_deref())?;
        let wanted = request::all_stats(&query.metric, query.stat.as_deref())?;
        Ok(Self { calendar, range, comparison, wanted, query, now, caller, state })
    }
}

/// Figures over a range, each beside that of an earlier range.
#[utoipa::path(get, path = "/v1/analytics/summary", tag = "Analytics", params(SummaryQuery),
    responses((status = 200, description = "Figures.", body = Summary), (status = 304)),
    security(("key" = ["analytics"])))]
pub(in crate::api) async fn summary(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    caller.require(Scope::Analytics)?;
    let plan = Arc::new(Plan::new(query::read(&req)?, caller.clone(), state.clone())?);
    let answer = state.reads.answer(&req, &caller, move || read(Arc::clone(&plan))).await?;
    Ok(answer.tagged(&req))
}

async fn read(plan: Arc<Plan>) -> Result<Answer, Problem> {
    let mut snapshot = plan.state.store.figures().await?;
    let complete_until = snapshot.complete_until(plan.caller.agents(), plan.now).await?;
    let current = figures(&mut snapshot, &plan, plan.range.span).await?;
    let earlier = plan.comparison.map(|comparison| {
        comparison.span(plan.calendar, plan.range.span, plan.range.period, plan.now)
    });
    let previous = match earlier {
        Some(span) => Some(figures(&mut snapshot, &plan, span).await?),
        None => None,
    };
    let figures = current.into_iter().enumerate().map(|(place, figure)| {
        let wanted = plan.wanted[place];
        let previous = previous.as_ref().map(|previous| previous[place]);
        SummaryFigure::new(wanted.metric, wanted.stat, figure.into(), previous.map(Into::into))
    });
    let answer = Summary {
        from: Timestamp(plan.range.span.from),
        to: Timestamp(plan.range.span.to),
        tz: plan.calendar.zone.name(),
        as_of: Timestamp(plan.now),
        complete_until: complete_until.map(Timestamp),
        compare: earlier
            .map(|span| Compared { from: Timestamp(span.from), to: Timestamp(span.to) }),
        data: figures.collect(),
    };
    Answer::of(&answer)?.known_by(&answer.data)
}

/// Figures over a span, in the order in which they are wanted.
async fn figures(snapshot: &mut Snapshot, plan: &Plan, span: Span) -> Result<Vec<Figure>, Problem> {
    let selection = Selection {
        starts: &[span.from],
        to: span.to,
        visible: plan.caller.agents(),
        agents: some(&plan.query.agent_id),
        sources: some(&plan.query.source),
        rooms: some(&plan.query.room_name),
        split: None,
    };
    let figures = Figures::read(snapshot, &selection, &plan.wanted, None).await?;
    let cell = (0, None);
    Ok(plan.wanted.iter().map(|wanted| figures.figure(*wanted, &cell)).collect())
}
