//! `GET /v1/analytics/top`: the largest groups by a metric.

use crate::api::query::words::Word as _;
use crate::api::views::analytics::csv;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::frame::{Frame, FrameQuery};
use super::request;
use super::request::CSV;
use crate::analytics::catalog::Metric;
use crate::api::answers::answer::Answer;
use crate::api::answers::reads::read_shared;
use crate::api::query::number::Whole;
use crate::api::query::words::OneOf;
use crate::api::resources::analytics::words::{Format, FormatWord, MetricWord, StatWord, TopWord};
use crate::api::views::analytics::{Row, Top};
use crate::api::{ApiState, Caller};
use crate::problem::responses::{ApiErrors, Errors};
use crate::problem::{Code, Problem};
use crate::store::figures::{Grouping, Split, TopBy, Wanted};
use crate::store::keys::Scope;

/// Groups where a request does not say how many.
const DEFAULT_LIMIT: usize = 10;
/// Most groups of an answer.
const MAX_GROUPS: i64 = 100;
/// Number of groups.
type GroupCount = Whole<1, MAX_GROUPS>;
/// Most sessions whose first messages are read for one answer: each costs two look-ups, and all of
/// them have to fit into the time that a query of figures may take.
const MAX_FIRST_MESSAGES: i64 = 100_000;

/// Parameters of the largest groups.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TopQuery {
    /// Groups; `agent` where it is left out. `room` and `first_message` have the metrics that count
    /// at the session's start. `first_message` is the text of the session's first user message, of
    /// which 200 characters count; it needs the scope `read` as well, and a range of at most 100,000
    /// sessions.
    #[param(inline, example = "agent")]
    by: Option<TopWord>,
    /// Metric of the catalogue; `sessions` where it is left out.
    #[param(value_type = Option<MetricWord>, inline, example = "sessions")]
    metric: Option<String>,
    /// Statistic of the metric; its first one where it is left out.
    #[param(inline, example = "count")]
    stat: Option<StatWord>,
    /// Number of groups; 10 where it is left out.
    #[param(inline, example = 10)]
    limit: Option<GroupCount>,
    /// `json`, or `csv` for the rows alone.
    #[param(value_type = Option<String>, example = "csv")]
    format: Option<FormatWord>,
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
        let by = query.by.map_or(TopBy::Facts(Grouping::By(Split::Agent)), |OneOf(by)| by);
        let metric = query.metric.as_deref().unwrap_or("sessions");
        let has_groups = |metric: &Metric| by.has(metric);
        let metric = request::metric_with(metric, &format!("by {}", by.word()), has_groups)?;
        let wanted = request::with_stat(metric, query.stat)?;
        let limit = query.limit.map_or(DEFAULT_LIMIT, |limit| limit.as_u32() as usize);
        let csv = Format::is_csv(query.format);
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
        (status = 304),
        Errors<ApiErrors>),
    security(("key" = ["analytics"])))]
pub(crate) async fn top(
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
        "First messages are read of {MAX_FIRST_MESSAGES} sessions at the most. Choose a shorter \
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
        if counts.values().map(|counts| counts.sessions).sum::<i64>() > MAX_FIRST_MESSAGES {
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
    let answer = Top { header, by: plan.by.word(), data: rows, other };
    Answer::of(&answer)?.known_by(&(&answer.data, &answer.other))
}
