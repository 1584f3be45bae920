//! `GET /v1/analytics/timeseries`: figures by bucket and group, as flat rows.

use crate::api::views::analytics::csv;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::request;
use super::request::{CSV, MAX_ROWS};
use crate::analytics::calendar::{Bucket, Part};
use crate::api::answers::answer::Answer;
use crate::api::answers::reads::read_shared;
use crate::api::resources::analytics::words::{
    BucketWord, Format, FormatWord, GroupingWord, MetricWord, StatWord,
};
use crate::api::views::analytics::{Row, Timeseries};
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors, TooManyBuckets};
use crate::problem::{Code, Problem};
use crate::store::figures::{Figures, Grouping, Wanted};

/// Parameters of a time series.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimeseriesQuery {
    /// Size of the buckets; `auto` chooses the shortest that gives at most 200.
    #[param(inline, example = "day")]
    bucket: Option<BucketWord>,
    /// Metrics of the catalogue; `sessions` where it is left out.
    #[param(inline, example = json!(["sessions"]))]
    #[serde(default)]
    metric: Vec<MetricWord>,
    /// Statistic of each metric; its first one where it is left out.
    #[param(inline, example = "count")]
    stat: Option<StatWord>,
    /// Splits each bucket.
    #[param(inline, example = "agent")]
    group_by: Option<GroupingWord>,
    /// `json`, or `csv` for the rows alone.
    #[param(value_type = Option<String>, example = "csv")]
    format: Option<FormatWord>,
}

/// A time series as it was requested.
struct Plan {
    frame: Frame,
    bucket: Bucket,
    parts: Vec<Part>,
    wanted: Vec<Wanted>,
    grouping: Option<Grouping>,
    csv: bool,
}

impl Plan {
    fn new(frame: Frame, query: &TimeseriesQuery) -> Result<Self, Problem> {
        let Frame { calendar, range, .. } = frame;
        let bucket = request::bucket(calendar, range.span, query.bucket);
        let wanted = request::each_with_stat(&query.metric, query.stat, &["sessions"])?;
        let grouping = request::grouping(query.group_by, &wanted)?;
        let csv = Format::is_csv(query.format);
        let parts: Vec<_> = calendar.parts(bucket, range.span).take(MAX_ROWS + 1).collect();
        if parts.len() > MAX_ROWS {
            return Err(too_many(&frame, 1));
        }
        Ok(Self { frame, bucket, parts, wanted, grouping, csv })
    }
}

/// Figures by bucket and group.
#[utoipa::path(get, path = "/v1/analytics/timeseries", tag = "Analytics", params(FrameQuery, TimeseriesQuery),
    responses((status = 200, description = "Rows, by bucket and group.",
            content((Timeseries = "application/json"), (String = "text/csv", example = json!("start,end,local_start,complete,sessions\r\n")))),
        (status = 304),
        Errors<(ApiErrors, TooManyBuckets)>),
    security(("key" = ["analytics"])))]
pub(crate) async fn timeseries(
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
    let starts: Vec<_> = plan.parts.iter().map(|part| part.span.from).collect();
    let selection = plan.frame.select(&starts, plan.frame.range.span.to, plan.grouping);
    let figures = Figures::read(&mut snapshot, &selection, &plan.wanted, plan.grouping).await?;
    let groups = figures.groups(plan.grouping);
    if groups.len().saturating_mul(plan.parts.len()) > MAX_ROWS {
        return Err(too_many(&plan.frame, groups.len()));
    }
    let mut rows = Vec::with_capacity(groups.len() * plan.parts.len());
    for (place, part) in plan.parts.iter().enumerate() {
        for group in &groups {
            rows.push(row(&plan, part, place, group.as_ref(), &figures));
        }
    }
    if plan.csv {
        return Answer::text(csv(&columns(&plan), &rows), CSV).known_by(&rows);
    }
    let answer = Timeseries { header, bucket: plan.bucket.as_str(), data: rows };
    Answer::of(&answer)?.known_by(&answer.data)
}

fn row(plan: &Plan, part: &Part, place: usize, group: Option<&String>, figures: &Figures) -> Row {
    let mut row = Row::of_bucket(part, plan.frame.calendar, plan.frame.now);
    if let (Some(grouping), Some(group)) = (plan.grouping, group) {
        row.add(request::column(grouping), Value::from(group.as_str()));
    }
    let cell = (place, group.cloned());
    for wanted in &plan.wanted {
        row.add_figure(wanted.metric, figures.figure(*wanted, &cell));
    }
    row
}

/// Names of the columns, in the order of [`row`].
fn columns(plan: &Plan) -> Vec<String> {
    let mut columns: Vec<String> = Row::BUCKET_COLUMNS.map(str::to_owned).into();
    columns.extend(plan.grouping.map(|grouping| request::column(grouping).to_owned()));
    columns.extend(plan.wanted.iter().flat_map(|wanted| Row::figure_columns(wanted.metric)));
    columns
}

/// The problem that names a bucket that fits.
fn too_many(frame: &Frame, groups: usize) -> Problem {
    let most = MAX_ROWS / groups.max(1);
    let advice = match Bucket::fitting(frame.calendar, frame.range.span, most) {
        Some(bucket) => format!("`bucket={}` fits.", bucket.as_str()),
        None => "Choose a shorter range, or fewer groups.".to_owned(),
    };
    let detail = format!("An answer has {MAX_ROWS} rows at the most, groups included. {advice}");
    Problem::new(Code::TooManyBuckets, detail)
}
