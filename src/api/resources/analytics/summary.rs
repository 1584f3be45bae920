//! `GET /v1/analytics/summary`: figures over a range, beside those of an earlier one.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::request;
use crate::analytics::calendar::Span;
use crate::analytics::range::Comparison;
use crate::api::answers::answer::Answer;
use crate::api::answers::reads::read_shared;
use crate::api::query::words::OneOf;
use crate::api::resources::analytics::words::{ComparisonWord, MetricWord, StatWord};
use crate::api::views::analytics::{Compared, Summary, SummaryFigure};
use crate::api::views::timestamp::Timestamp;
use crate::api::{ApiState, Caller};
use crate::problem::Problem;
use crate::problem::responses::{ApiErrors, Errors};
use crate::store::figures::{Figure, Figures, Snapshot, Wanted};

/// Parameters of a summary.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// Earlier range to compare with; of a range that is not over, the part that has elapsed.
    #[param(inline, example = "previous")]
    compare: Option<ComparisonWord>,
    /// Metrics of the catalogue; all where it is left out.
    #[param(inline, example = json!(["sessions"]))]
    #[serde(default)]
    metric: Vec<MetricWord>,
    /// Statistic of each metric; all that it has where it is left out.
    #[param(inline, example = "count")]
    stat: Option<StatWord>,
}

/// A summary as it was requested.
struct Plan {
    frame: Frame,
    comparison: Option<Comparison>,
    wanted: Vec<Wanted>,
}

impl Plan {
    fn new(frame: Frame, query: &SummaryQuery) -> Result<Self, Problem> {
        let comparison = query.compare.and_then(|OneOf(comparison)| comparison);
        let wanted = request::with_stats(&query.metric, query.stat)?;
        Ok(Self { frame, comparison, wanted })
    }
}

/// Figures over a range, each beside that of an earlier range.
#[utoipa::path(get, path = "/v1/analytics/summary", tag = "Analytics", params(FrameQuery, SummaryQuery),
    responses((status = 200, description = "Figures.", body = Summary), (status = 304),
        Errors<ApiErrors>),
    security(("key" = ["analytics"])))]
pub(crate) async fn summary(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (frame, query) = Frame::read(&req, &caller, &state)?;
    let plan = Arc::new(Plan::new(frame, &query)?);
    let read = move |state| read(Arc::clone(&plan), state);
    Ok(read_shared(&state, &req, &caller, None, read).await?.tagged(&req))
}

async fn read(plan: Arc<Plan>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let Frame { calendar, range, now, .. } = plan.frame;
    let (mut snapshot, header) = plan.frame.open(&state).await?;
    let current = figures(&mut snapshot, &plan, range.span).await?;
    let earlier =
        plan.comparison.map(|comparison| comparison.span(calendar, range.span, range.period, now));
    let previous = match earlier {
        Some(span) => Some(figures(&mut snapshot, &plan, span).await?),
        None => None,
    };
    let figures = current.into_iter().enumerate().map(|(place, figure)| {
        let wanted = plan.wanted[place];
        let previous = previous.as_ref().map(|previous| previous[place]);
        SummaryFigure::new(wanted.metric, wanted.stat, figure, previous)
    });
    let answer = Summary {
        header,
        compare: earlier
            .map(|span| Compared { from: Timestamp(span.from), to: Timestamp(span.to) }),
        data: figures.collect(),
    };
    Answer::of(&answer)?.known_by(&answer.data)
}

/// Figures over a span, in the order in which they are wanted.
async fn figures(snapshot: &mut Snapshot, plan: &Plan, span: Span) -> Result<Vec<Figure>, Problem> {
    let starts = [span.from];
    let selection = plan.frame.select(&starts, span.to, None);
    let figures = Figures::read(snapshot, &selection, &plan.wanted, None).await?;
    let cell = (0, None);
    Ok(plan.wanted.iter().map(|wanted| figures.figure(*wanted, &cell)).collect())
}
