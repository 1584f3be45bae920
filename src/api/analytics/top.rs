//! `GET /v1/analytics/top`: the largest groups by a metric.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::{ApiState, CSV, Caller, request};
use crate::analytics::catalog::Metric;
use crate::api::answer::Answer;
use crate::api::params::invalid;
use crate::api::reads::read_shared;
use crate::api::views::analytics::{Row, Top, csv};
use crate::problem::{Code, Problem};
use crate::store::figures::{Grouping, Split, TopBy, Wanted};
use crate::store::keys::Scope;

/// Groups where a request does not say how many.
const DEFAULT_LIMIT: usize = 10;
/// Most groups of an answer.
const MOST_GROUPS: usize = 100;
/// Most sessions whose first messages are read for one answer: each costs two look-ups, and all of
/// them have to fit into the time that a query of figures may take.
const MOST_FIRST_MESSAGES: i64 = 100_000;

/// Parameters of the largest groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TopQuery {
    /// Groups; `agent` where it is left out. `room` and `first_message` have the metrics that count
    /// at the session's start. `first_message` is the text of the session's first user message, of
    /// which 200 characters count; it needs the scope `read` as well, and a range of at most 100,000
    /// sessions.
    #[param(example = "agent")]
    by: Option<String>,
    /// Metric of the catalogue; `sessions` where it is left out.
    metric: Option<String>,
    /// Statistic of the metric; its first one where it is left out.
    stat: Option<String>,
    /// Number of groups; 10 where it is left out.
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, example = 10)]
    limit: Option<String>,
    /// `json`, or `csv` for the rows alone.
    #[param(example = "csv")]
    format: Option<String>,
}

/// Groups that a request can name.
const ALL: [TopBy; 4] = [
    TopBy::Facts(Grouping::By(Split::Agent)),
    TopBy::Facts(Grouping::By(Split::Source)),
    TopBy::Room,
    TopBy::FirstMessage,
];

/// Name of groups in requests.
fn name(by: TopBy) -> &'static str {
    match by {
        TopBy::Facts(grouping) => grouping.as_str(),
        TopBy::Room => "room",
        TopBy::FirstMessage => "first_message",
    }
}

/// Name of the groups' column.
fn column(by: TopBy) -> &'static str {
    match by {
        TopBy::Facts(grouping) => request::column(grouping),
        TopBy::Room => "room_name",
        TopBy::FirstMessage => "first_message",
    }
}

/// Largest groups as they were requested.
struct Plan {
    frame: Frame,
    by: TopBy,
    wanted: Wanted,
    limit: usize,
    csv: bool,
}

impl Plan {
    fn new(frame: Frame, query: &TopQuery) -> Result<Self, Problem> {
        let by = query.by.as_deref().unwrap_or("agent");
        let by = request::word("by", by, &ALL, name)?;
        let metric = query.metric.as_deref().unwrap_or("sessions");
        let has_groups = |metric: &Metric| by.has(metric);
        let metric = request::metric_with(metric, &format!("by {}", name(by)), has_groups)?;
        let wanted = request::one_stat(metric, query.stat.as_deref())?;
        let limit = query.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=MOST_GROUPS).contains(limit)).ok_or_else(|| {
            invalid("limit", &format!("is a whole number from 1 to {MOST_GROUPS}"))
        })?;
        let csv = request::is_csv(query.format.as_deref())?;
        Ok(Self { frame, by, wanted, limit, csv })
    }
}

/// Largest groups by a metric, and the other groups together.
///
/// Groups are ordered by value, the largest first, and then by name. Sessions without a room, or
/// without a user message, are one group, whose name is null. First messages are compared as they
/// were sent: two texts that differ in a letter or in case are two groups.
#[utoipa::path(get, path = "/v1/analytics/top", tag = "Analytics", params(FrameQuery, TopQuery),
    responses((status = 200, description = "Groups, the largest first.",
            content((Top = "application/json"), (String = "text/csv", example = json!("agent_id,sessions\r\n\"A80HVD8577\",17\r\n")))),
        (status = 304)),
    security(("key" = ["analytics"])))]
pub(in crate::api) async fn top(
    req: HttpRequest,
    caller: Caller,
    state: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let (frame, query) = Frame::read(&req, &caller, &state)?;
    let plan = Arc::new(Plan::new(frame, &query)?);
    if plan.by == TopBy::FirstMessage {
        caller.require(Scope::Read)?;
    }
    let read = move |state| read(Arc::clone(&plan), state);
    Ok(read_shared(&state, &req, &caller, None, read).await?.tagged(&req))
}

fn too_many_sessions() -> Problem {
    let detail = format!(
        "First messages are read of {MOST_FIRST_MESSAGES} sessions at the most. Choose a shorter \
         range, or fewer agents."
    );
    Problem::new(Code::InvalidParameter, detail)
}

async fn read(plan: Arc<Plan>, state: web::Data<ApiState>) -> Result<Answer, Problem> {
    let (mut snapshot, header) = plan.frame.open(&state).await?;
    let span = plan.frame.range.span;
    let starts = [span.from];
    let grouping = match plan.by {
        TopBy::Facts(grouping) => Some(grouping),
        TopBy::Room | TopBy::FirstMessage => None,
    };
    let selection = plan.frame.select(&starts, span.to, grouping);
    if plan.by == TopBy::FirstMessage {
        let counts = snapshot.session_counts(&selection).await?;
        if counts.values().map(|counts| counts.sessions).sum::<i64>() > MOST_FIRST_MESSAGES {
            return Err(too_many_sessions());
        }
    }
    let top = snapshot.top(plan.wanted, plan.by, plan.limit, &selection).await?;
    let metric = plan.wanted.metric;
    let column = column(plan.by);
    let row = |(name, figure): &(Option<String>, _)| {
        let mut row = Row::of_group(column, name.as_deref());
        row.add_figure(metric, *figure);
        row
    };
    let rows: Vec<_> = top.groups.iter().map(row).collect();
    if plan.csv {
        let columns: Vec<_> =
            [column.to_owned()].into_iter().chain(Row::figure_columns(metric)).collect();
        return Answer::text(csv(&columns, &rows), CSV).known_by(&rows);
    }
    let mut other = Row::default();
    other.add("groups", top.other_groups.into());
    other.add_figure(metric, top.other);
    let answer = Top { header, by: name(plan.by), data: rows, other };
    Answer::of(&answer)?.known_by(&(&answer.data, &answer.other))
}
