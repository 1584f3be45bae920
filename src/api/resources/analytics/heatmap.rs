//! `GET /v1/analytics/heatmap`: totals by weekday and hour of the local clock.

use crate::api::query::words::Word as _;
use crate::api::views::analytics::csv;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{Datelike as _, TimeDelta, Timelike as _, Weekday};
use serde::Deserialize;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::request;
use super::request::CSV;
use crate::analytics::calendar::{Bucket, Part};
use crate::analytics::catalog::Metric;
use crate::api::answers::answer::Answer;
use crate::api::answers::reads::read_shared;
use crate::api::resources::analytics::words::{Format, FormatWord, MetricWord};
use crate::api::views::analytics::{Heatmap, Row};
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors, TooManyBuckets};
use crate::problem::{Code, Problem};
use crate::store::figures::{Figure, Figures, Wanted};

const DAYS: usize = 7;
const HOURS: usize = 24;
/// Longest range in days: a year, and a month for those who are late.
const MAX_DAYS: usize = 400;

/// Parameters of a heatmap.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HeatmapQuery {
    /// Metric of the catalogue that adds up, or a ratio; `sessions` where it is left out.
    #[param(value_type = Option<MetricWord>, inline, example = "sessions")]
    metric: Option<String>,
    /// `json`, or `csv` for the rows alone.
    #[param(value_type = Option<String>, example = "csv")]
    format: Option<FormatWord>,
}

/// A heatmap as it was requested.
struct Plan {
    frame: Frame,
    parts: Vec<Part>,
    wanted: Wanted,
    csv: bool,
}

impl Plan {
    fn new(frame: Frame, query: &HeatmapQuery) -> Result<Self, Problem> {
        let name = query.metric.as_deref().unwrap_or("sessions");
        let metric = request::metric_with(name, "of a heatmap", Metric::adds_up)?;
        let wanted = Wanted { metric, stat: metric.statistics[0] };
        let csv = Format::is_csv(query.format);
        let (calendar, span) = (frame.calendar, frame.range.span);
        let most = MAX_DAYS * HOURS;
        if calendar.count(Bucket::Hour, span, most) > most {
            let detail = format!("A heatmap covers {MAX_DAYS} days at the most.");
            return Err(Problem::new(Code::TooManyBuckets, detail));
        }
        let parts = calendar.parts(Bucket::Hour, span).collect();
        Ok(Self { frame, parts, wanted, csv })
    }

    /// Day of the week by its place in a week, from 0.
    fn weekday(&self, place: usize) -> Weekday {
        (0..place).fold(self.frame.calendar.week_starts, |day, _| day.succ())
    }
}

/// Total of a metric for each hour of the week.
///
/// There are 168 rows, 24 for each weekday from `week_starts` on. An hour of the clock belongs to
/// the row that the local time at its start names, also where a shift of the clock makes it longer or
/// shorter; `hours` is how much of the range is such an hour, so a total divided by it can be compared
/// between rows.
#[utoipa::path(get, path = "/v1/analytics/heatmap", tag = "Analytics", params(FrameQuery, HeatmapQuery),
    responses((status = 200, description = "Rows by weekday and hour.",
            content((Heatmap = "application/json"), (String = "text/csv", example = json!("weekday,hour,sessions,hours\r\n\"monday\",0,3,4.0\r\n")))),
        (status = 304),
        Errors<(ApiErrors, TooManyBuckets)>),
    security(("key" = ["analytics"])))]
pub(crate) async fn heatmap(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (frame, query) = Frame::read(&req, &caller, &state)?;
    let plan = Arc::new(Plan::new(frame, &query)?);
    let read = move |state| read(Arc::clone(&plan), state);
    Ok(read_shared(&state, &req, &caller, None, read).await?.tagged(&req))
}

/// Hour of the week: its total, and how much of the range it is.
#[derive(Clone, Copy)]
struct HourOfWeek {
    figure: Figure,
    length: TimeDelta,
}

async fn read(plan: Arc<Plan>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let (mut snapshot, header) = plan.frame.open(&state).await?;
    let starts: Vec<_> = plan.parts.iter().map(|part| part.span.from).collect();
    let selection = plan.frame.select(&starts, plan.frame.range.span.to, None);
    let figures = Figures::read(&mut snapshot, &selection, &[plan.wanted], None).await?;
    let metric = plan.wanted.metric;
    let empty = HourOfWeek { figure: Figure::of_nothing(metric), length: TimeDelta::zero() };
    let mut week = [[empty; HOURS]; DAYS];
    for (place, part) in plan.parts.iter().enumerate() {
        let local = plan.frame.calendar.local(part.span.from);
        let day = local.weekday().days_since(plan.frame.calendar.week_starts);
        // Both are in range: a week has seven days, and a day 24 hours.
        let cell = &mut week[day as usize % DAYS][local.hour() as usize % HOURS];
        cell.figure = cell.figure.plus(figures.figure(plan.wanted, &(place, None)));
        cell.length += part.span.to - part.span.from;
    }
    let mut rows = Vec::with_capacity(DAYS * HOURS);
    for (day, hours) in week.iter().enumerate() {
        let weekday = plan.weekday(day).word();
        for (hour, cell) in hours.iter().enumerate() {
            rows.push(Row::of_hour(weekday, hour, metric, cell.figure, cell.length));
        }
    }
    if plan.csv {
        return Answer::text(csv(&Row::hour_columns(metric), &rows), CSV).known_by(&rows);
    }
    let answer = Heatmap { header, data: rows };
    Answer::of(&answer)?.known_by(&answer.data)
}
