//! `GET /v1/analytics/timeseries`: figures by bucket and group, as flat rows.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::figures::Figures;
use super::request::{self, Grouping, Range, Wanted};
use super::{ApiState, Caller, MOST_ROWS, some};
use crate::analytics::calendar::{Bucket, Calendar, Part};
use crate::analytics::catalog::Unit;
use crate::api::answer::Answer;
use crate::api::query;
use crate::api::timestamp::Timestamp;
use crate::api::views::analytics::{Row, Timeseries, csv};
use crate::problem::{Code, Problem};
use crate::store::figures::Selection;
use crate::store::keys::Scope;

/// What a time series is requested by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TimeseriesQuery {
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
    /// Size of the buckets; `auto` chooses the shortest that gives at most 200.
    bucket: Option<String>,
    /// Metrics of the catalogue; `sessions` where it is left out.
    #[serde(default)]
    metric: Vec<String>,
    /// Statistic of each metric; its first one where it is left out.
    stat: Option<String>,
    /// Splits each bucket.
    #[param(example = "agent")]
    group_by: Option<String>,
    /// `json`, or `csv` for the rows alone.
    #[param(example = "csv")]
    format: Option<String>,
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

/// A time series as it was requested.
struct Plan {
    calendar: Calendar,
    range: Range,
    bucket: Bucket,
    parts: Vec<Part>,
    wanted: Vec<Wanted>,
    grouping: Option<Grouping>,
    csv: bool,
    query: TimeseriesQuery,
    now: DateTime<Utc>,
    caller: Caller,
    state: web::Data<ApiState>,
}

impl Plan {
    fn new(
        query: TimeseriesQuery,
        caller: Caller,
        state: web::Data<ApiState>,
    ) -> Result<Self, Problem> {
        let now = state.clock.now();
        let calendar = request::calendar(query.tz.as_deref(), query.week_starts.as_deref())?;
        let (from, to) = (query.from.as_deref(), query.to.as_deref());
        let range = request::range(calendar, from, to, query.period.as_deref(), now)?;
        let bucket = request::bucket(calendar, range.span, query.bucket.as_deref())?;
        let wanted = request::one_stat_each(&query.metric, query.stat.as_deref(), &["sessions"])?;
        let grouping = request::grouping(query.group_by.as_deref(), &wanted)?;
        let csv = request::is_csv(query.format.as_deref())?;
        if calendar.count(bucket, range.span, MOST_ROWS) > MOST_ROWS {
            return Err(too_many(calendar, range, 1));
        }
        let parts = calendar.parts(bucket, range.span).collect();
        let plan = Self {
            calendar,
            range,
            bucket,
            parts,
            wanted,
            grouping,
            csv,
            query,
            now,
            caller,
            state,
        };
        Ok(plan)
    }
}

/// Figures by bucket and group.
#[utoipa::path(get, path = "/v1/analytics/timeseries", tag = "Analytics", params(TimeseriesQuery),
    responses((status = 200, description = "Rows, by bucket and group.",
            content((Timeseries = "application/json"), (String = "text/csv", example = json!("start,end,local_start,complete,sessions\r\n")))),
        (status = 304), (status = 400, description = "too_many_buckets")),
    security(("key" = ["analytics"])))]
pub(in crate::api) async fn timeseries(
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
    let starts: Vec<_> = plan.parts.iter().map(|part| part.span.from).collect();
    let selection = Selection {
        starts: &starts,
        to: plan.range.span.to,
        visible: plan.caller.agents(),
        agents: some(&plan.query.agent_id),
        sources: some(&plan.query.source),
        rooms: some(&plan.query.room_name),
        split: plan.grouping.and_then(|grouping| match grouping {
            Grouping::By(split) => Some(split),
            Grouping::Flag => None,
        }),
    };
    let figures = Figures::read(&mut snapshot, &selection, &plan.wanted, plan.grouping).await?;
    let groups = figures.groups(plan.grouping);
    if groups.len().saturating_mul(plan.parts.len()) > MOST_ROWS {
        return Err(too_many(plan.calendar, plan.range, groups.len()));
    }
    let mut rows = Vec::with_capacity(groups.len() * plan.parts.len());
    for (place, part) in plan.parts.iter().enumerate() {
        for group in &groups {
            rows.push(row(&plan, part, place, group.as_ref(), &figures));
        }
    }
    if plan.csv {
        let text = csv(&columns(&plan), &rows);
        return Answer::text(text, "text/csv; charset=utf-8; header=present").known_by(&rows);
    }
    let answer = Timeseries {
        from: Timestamp(plan.range.span.from),
        to: Timestamp(plan.range.span.to),
        tz: plan.calendar.zone.name(),
        as_of: Timestamp(plan.now),
        complete_until: complete_until.map(Timestamp),
        bucket: plan.bucket.as_str(),
        data: rows,
    };
    Answer::of(&answer)?.known_by(&answer.data)
}

fn row(plan: &Plan, part: &Part, place: usize, group: Option<&String>, figures: &Figures) -> Row {
    let mut row = Row::new(part, plan.calendar, plan.now);
    if let (Some(grouping), Some(group)) = (plan.grouping, group) {
        row.add(grouping.column(), Value::from(group.as_str()));
    }
    let cell = (place, group.cloned());
    for wanted in &plan.wanted {
        let figure = figures.figure(*wanted, &cell);
        row.add(wanted.metric.name, figure.value.map_or(Value::Null, Value::from));
        if let Some((numerator, denominator)) = figure.parts {
            row.add(format!("{}_numerator", wanted.metric.name), numerator.into());
            row.add(format!("{}_denominator", wanted.metric.name), denominator.into());
        }
    }
    row
}

/// Names of the columns, in the order of [`row`].
fn columns(plan: &Plan) -> Vec<String> {
    let mut columns: Vec<String> = Row::BUCKET_COLUMNS.map(str::to_owned).into();
    columns.extend(plan.grouping.map(|grouping| grouping.column().to_owned()));
    for Wanted { metric, .. } in &plan.wanted {
        columns.push(metric.name.to_owned());
        if metric.unit == Unit::Ratio {
            columns.push(format!("{}_numerator", metric.name));
            columns.push(format!("{}_denominator", metric.name));
        }
    }
    columns
}

/// The problem that names a bucket that fits.
fn too_many(calendar: Calendar, range: Range, groups: usize) -> Problem {
    let most = MOST_ROWS / groups.max(1);
    let advice = match Bucket::fitting(calendar, range.span, most) {
        Some(bucket) => format!("`bucket={}` fits.", bucket.as_str()),
        None => "Choose a shorter range, or fewer groups.".to_owned(),
    };
    let detail = format!("An answer has {MOST_ROWS} rows at the most, groups included. {advice}");
    Problem::new(Code::TooManyBuckets, detail)
}
