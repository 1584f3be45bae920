//! `GET /v1/analytics/distribution`: a histogram of a metric's values.

use crate::analytics::histogram::MAX_EDGES;
use crate::api::views::analytics::csv;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::request;
use super::request::{CSV, MAX_ROWS};
use crate::analytics::catalog::{Metric, Stat};
use crate::analytics::histogram::{Bin, Edges};
use crate::api::answers::answer::Answer;
use crate::api::answers::reads::read_shared;
use crate::api::query::invalid::invalid;
use crate::api::resources::analytics::words::{Format, FormatWord, GroupingWord, MetricWord};
use crate::api::views::analytics::{Distribution, Row};
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors, TooManyBuckets};
use crate::problem::{Code, Problem};
use crate::store::figures::{Figures, Grouping, Wanted};

/// Parameters of a distribution.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DistributionQuery {
    /// Metric of the catalogue that has histogram edges.
    #[param(value_type = Option<MetricWord>, inline, example = "reply_gap")]
    metric: Option<String>,
    /// Edges with commas between, in the metric's unit: up to 100 ascending numbers from 0 to a
    /// billion. Each bin holds the values from its lower edge on and below its upper one. With a first
    /// edge above 0 there is a first bin below it, whose `lower` is null. The catalogue's edges where
    /// it is left out.
    #[param(example = "0,1,2.5,10", pattern = "^[0-9.]+(,[0-9.]+)*$")]
    edges: Option<String>,
    /// One histogram for each agent or source.
    #[param(inline, example = "agent")]
    group_by: Option<GroupingWord>,
    /// `json`, or `csv` for the rows alone.
    #[param(value_type = Option<String>, example = "csv")]
    format: Option<FormatWord>,
}

/// A distribution as it was requested.
struct Plan {
    frame: Frame,
    metric: &'static Metric,
    edges: Edges,
    bins: Vec<Bin>,
    grouping: Option<Grouping>,
    csv: bool,
}

impl Plan {
    fn new(frame: Frame, query: &DistributionQuery) -> Result<Self, Problem> {
        let has_edges = |metric: &Metric| !metric.histogram_edges.is_empty();
        let name = query.metric.as_deref().unwrap_or_default();
        let metric = request::metric_with(name, "of a distribution", has_edges)?;
        let edges = match query.edges.as_deref() {
            None => Edges::of(metric),
            Some(text) => Edges::parse(metric.unit, text).ok_or_else(|| {
                let what = format!(
                    "is up to {MAX_EDGES} ascending numbers from 0 to 1000000000 with commas \
                     between, at least a microsecond apart: 0,1,2.5"
                );
                invalid("edges", &what)
            })?,
        };
        let wanted = [Wanted { metric, stat: metric.statistics[0] }];
        let grouping = request::grouping(query.group_by, &wanted)?;
        let csv = Format::is_csv(query.format);
        let bins = edges.bins();
        Ok(Self { frame, metric, edges, bins, grouping, csv })
    }
}

/// Histogram of a metric's values: numbers of values between edges.
#[utoipa::path(get, path = "/v1/analytics/distribution", tag = "Analytics", params(FrameQuery, DistributionQuery),
    responses((status = 200, description = "Bins in order, by group.",
            content((Distribution = "application/json"), (String = "text/csv", example = json!("lower,upper,count\r\n0.0,1.0,12\r\n")))),
        (status = 304),
        Errors<(ApiErrors, TooManyBuckets)>),
    security(("key" = ["analytics"])))]
pub(crate) async fn distribution(
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
    let (mut snapshot, header) = plan.frame.open(&state).await?;
    let span = plan.frame.range.span;
    let starts = [span.from];
    let selection = plan.frame.select(&starts, span.to, plan.grouping);
    let metric = plan.metric;
    let wanted: Vec<_> =
        metric.statistics.iter().map(|stat| Wanted { metric, stat: *stat }).collect();
    let figures = Figures::read(&mut snapshot, &selection, &wanted, plan.grouping).await?;
    let groups = figures.groups(plan.grouping);
    if groups.len().saturating_mul(plan.bins.len()) > MAX_ROWS {
        let detail = format!(
            "An answer has {MAX_ROWS} rows at the most, groups included. Choose fewer edges or fewer \
             groups."
        );
        return Err(Problem::new(Code::TooManyBuckets, detail));
    }
    let counts = snapshot.distribution(metric, &plan.edges.stored(), &selection).await?;
    let (mut rows, mut statistics) = (Vec::new(), Vec::new());
    for group in groups {
        let begin = || {
            plan.grouping.map_or_else(Row::default, |grouping| {
                Row::of_group(request::column(grouping), group.as_deref())
            })
        };
        let mut total = 0;
        for bin in &plan.bins {
            let count = counts.get(&(bin.number, group.clone())).copied().unwrap_or(0);
            total += count;
            rows.push(begin().with_bin(bin, count));
        }
        let of = |stat: Stat| figures.figure(Wanted { metric, stat }, &(0, group.clone()));
        let figures = metric.statistics.iter().map(|stat| (stat.as_str(), of(*stat)));
        statistics.push(begin().with_statistics(total, figures));
    }
    if plan.csv {
        let column = plan.grouping.map(|grouping| request::column(grouping).to_owned());
        let columns: Vec<_> =
            column.into_iter().chain(Row::BIN_COLUMNS.map(str::to_owned)).collect();
        return Answer::text(csv(&columns, &rows), CSV).known_by(&rows);
    }
    let answer =
        Distribution { header, metric: metric.name, unit: metric.unit, statistics, data: rows };
    Answer::of(&answer)?.known_by(&(&answer.statistics, &answer.data))
}
